"""Send a mailing again, to those who received it but have not clicked, as a new mailing."""

from dataclasses import replace
from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import select

from skymailing.extensions import db
from skymailing.mailings.audience import SEGMENT
from skymailing.mailings.click_segments import Clicked, make_segment
from skymailing.mailings.errors import InvalidMailing, MailingError
from skymailing.mailings.run_queries import find_last_run
from skymailing.mailings.saved_values import read_values
from skymailing.mailings.selection import Selection
from skymailing.mailings.services import create_mailing, lock_mailing
from skymailing.mailings.validation import NAME_MAX_LENGTH
from skymailing.mailings.values import MailingValues
from skymailing.models import (
    Audience,
    Mailing,
    MailingAudience,
    MailingKind,
    MailingState,
    Periodicity,
    Run,
    Segment,
)

WAIT = timedelta(days=3)  # after the first start, since most people click within days
WINDOW = timedelta(days=7)


def can_follow_up(mailing: Mailing, run: Run | None) -> bool:
    """Return whether it is known who has not clicked in the last run of a mailing that is over."""
    return (
        run is not None
        and run.track_clicks
        and run.finished_at is not None
        and run.details_removed_at is None
        and mailing.kind == MailingKind.MAILING
        and mailing.state is MailingState.FINISHED
        and mailing.periodicity is Periodicity.ONCE
        and not mailing.is_disabled
    )


def create_follow_up(mailing: Mailing, now: datetime) -> Mailing:
    """Return a draft for those who have not clicked: a new one, or the one that was created before.

    Its segment is computed when it is sent, so no one who clicks until then gets it. Raises MailingError and
    LimitReached.
    """
    lock_mailing(mailing)
    run = find_last_run(mailing)
    if run is None or not can_follow_up(mailing, run):
        raise MailingError("mailing_no_follow_up")
    segment = make_segment(mailing, Clicked.NO)
    suffix = _(": reminder")
    name = mailing.name[: NAME_MAX_LENGTH - len(suffix)] + suffix
    if draft := _find_draft(run, name, segment):
        return draft
    starts_at = (run.started_at + WAIT).replace(second=0, microsecond=0)
    values = replace(
        _read_winner(mailing, run),
        name=name,
        audience=Audience.SEGMENTS,
        clients=Selection(),
        include=(f"{SEGMENT}:{segment.id}",),
        starts_at=starts_at if starts_at > now else None,
        is_local_time=False,
        ends_at=max(starts_at, now.replace(second=0, microsecond=0)) + WINDOW,
        variants=(),
    )
    try:
        return create_mailing(mailing.owner, values, now, is_draft=True)
    except InvalidMailing as error:  # no form shows the errors: the first one says what to do
        raise next(iter(error.errors.values())) from error


def _find_draft(run: Run, name: str, segment: Segment) -> Mailing | None:
    """Return the draft that was created before; another mailing's has the same name if the mailings do."""
    goes_to_segment = select(MailingAudience.mailing_id).where(
        MailingAudience.segment_id == segment.id, MailingAudience.is_excluded.is_(False)
    )
    drafts = select(Mailing).where(
        *(Mailing.owner_id == segment.owner_id, Mailing.kind == MailingKind.MAILING, Mailing.name == name),
        *(Mailing.state == MailingState.DRAFT, Mailing.created_at >= run.started_at),
        Mailing.id.in_(goes_to_segment),
    )
    return db.session.scalar(drafts.order_by(Mailing.id).limit(1))


def _read_winner(mailing: Mailing, run: Run) -> MailingValues:
    """Return the mailing's values, with the message and the sender's name of a test's winner."""
    values = read_values(mailing)
    number = run.winner or 1
    if not 1 < number <= len(values.variants) + 1:
        return values
    winner = values.variants[number - 2]
    message_id = winner.message_id or values.message_id
    return replace(values, message_id=message_id, sender_name=winner.sender_name or values.sender_name)
