"""Let people decide whether an owner may count their opens; find what the owner counts."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, exists, select

from skymailing.clients.consents import NO_EVIDENCE, Evidence, record_all, store_text
from skymailing.clients.suppression import list_merged_into
from skymailing.delivery.open_consents import latest_consent
from skymailing.extensions import db
from skymailing.models import ConsentKind, ConsentPurpose, Mailing, OpenTracking
from skymailing.tracking.opens import forget_opens


@dataclass(frozen=True, slots=True)
class Counting:
    """What an owner's mailings record: clicks, and opens by day or per person."""

    clicks: bool
    days: bool
    people: bool


def find_counting(owner_id: int) -> Counting:
    """Return what any of the owner's mailings counts."""

    def has(condition: ColumnElement[bool]) -> Any:
        return exists().where(Mailing.owner_id == owner_id, condition)

    modes = (Mailing.track_opens == mode for mode in (OpenTracking.DAY, OpenTracking.PERSON))
    conditions = (Mailing.track_clicks.is_(True), *modes)
    return Counting(*db.session.execute(select(*map(has, conditions))).one())


def is_allowed(owner_id: int, email_key: str) -> bool:
    """Return whether the person with this address has consented to the counting of opens."""
    latest = db.session.scalar(select(latest_consent(owner_id, email_key)))
    return latest == ConsentKind.CONFIRMED


def save_choice(
    owner_id: int, email_key: str, is_given: bool, now: datetime, evidence: Evidence = NO_EVIDENCE
) -> None:
    """Record that a person consents to the counting of opens, or withdraws this consent.

    Repeating the choice changes nothing. A withdrawal removes the recorded opens. Like unsubscribing, it also
    applies to addresses into which this one was merged.
    """
    keys = [email_key] if is_given else [email_key, *list_merged_into(owner_id, [email_key])]
    changed = [key for key in keys if is_allowed(owner_id, key) is not is_given]
    text_id = store_text(owner_id, describe_choice(), now) if is_given else None
    evidence = replace(evidence, text_id=text_id, purpose=ConsentPurpose.TRACKING)
    kind = ConsentKind.CONFIRMED if is_given else ConsentKind.WITHDRAWN
    if not is_given:
        forget_opens(db.session.connection(), owner_id, changed, now)
    record_all(owner_id, changed, kind, now, evidence)


def describe_choice() -> str:
    """Return the label of the check box, in the current language."""
    return str(_("You may record whether I open these emails."))
