"""The condition for counting a person's opens: the person has consented and not withdrawn the consent."""

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, exists, func, select

from skymailing.models import Consent, ConsentKind, ConsentPurpose, Suppression


def allows_counting(owner_id: Any, email_key: Any) -> ColumnElement[bool]:
    """Return the condition that the person with an address lets this owner count opens.

    Opens of people who have unsubscribed from everything are not counted. Both arguments are values, or
    columns of the outer query.
    """
    is_same_address = (Suppression.owner_id == owner_id) & (Suppression.email_key == email_key)
    is_suppressed = exists().where(is_same_address).correlate_except(Suppression)
    latest = func.coalesce(latest_consent(owner_id, email_key), "")
    return (latest == ConsentKind.CONFIRMED.value) & ~is_suppressed


def latest_consent(owner_id: Any, email_key: Any) -> ScalarSelect[str]:
    """Select the kind of the latest consent record about counting a person's opens for this owner."""
    latest = select(Consent.kind).where(
        Consent.owner_id == owner_id,
        Consent.email_key == email_key,
        Consent.purpose == ConsentPurpose.TRACKING,
    )
    latest = latest.order_by(Consent.at.desc(), Consent.id.desc()).limit(1)
    return latest.correlate_except(Consent).scalar_subquery()
