"""Detect a form that is submitted twice, so that no client gets a second letter.

A double click, a reload or the browser's history can submit the same page again. The page contains the
time at which it was opened. If a mailing with the same values has been created since then, the page has
already been submitted.
"""

from datetime import datetime

from sqlalchemy import select

from skymailing.delivery.audience.parts import read_parts
from skymailing.extensions import db
from skymailing.mailings.selection import Selection, is_selection_of
from skymailing.mailings.validation import MailingValidation
from skymailing.mailings.variants import read_variants
from skymailing.models import Mailing, MailingKind, MailingState
from skymailing.quotas.locking import lock_owner

COMPARED_FIELDS = (
    *("name", "message_id", "sender_id", "sender_name", "audience", "ends_at", "periodicity", "on_unknown"),
    *("weekdays", "opens_at", "closes_at", "on_late", "topic_id", "track_clicks", "track_opens"),
    *("repeat_unit", "repeat_every", "repeat_weekdays", "repeat_on_last_day"),
    *("sample_percent", "test_hours", "winner_by", "is_local_time", "on_passed"),
)


def find_duplicate(validation: MailingValidation, opened_at: datetime, *, is_draft: bool) -> int | None:
    """Return the ID of the mailing that this page has already created; None if there is none.

    Locks the owner's row until the transaction ends, so that the second of two concurrent submissions
    sees the first.
    """
    owner, values = validation.owner, validation.values
    lock_owner(owner.id)
    candidate = Mailing()
    values.apply_to(candidate, validation.now)
    is_same = [getattr(Mailing, name) == getattr(candidate, name) for name in COMPARED_FIELDS]
    if values.starts_at:
        is_same.append(Mailing.starts_at == candidate.starts_at)
    statement = select(Mailing).where(
        Mailing.owner_id == owner.id,
        Mailing.kind == MailingKind.MAILING,
        Mailing.created_at >= opened_at,
        (Mailing.state == MailingState.DRAFT) == is_draft,
        *is_same,
    )
    selection = values.selection or Selection()
    for mailing in db.session.scalars(statement.order_by(Mailing.id)):
        is_same_audience = is_selection_of(mailing, selection) and read_parts(mailing) == validation.parts
        if is_same_audience and read_variants(mailing) == values.variants:
            return mailing.id
    return None


def parse_opened_at(text: str | None) -> datetime | None:
    """Return the time at which a page was opened; None if it is missing or invalid."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
