"""Segment conditions on what happened to a client's letters: received, clicked or bounced."""

from datetime import timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select

from skymailing.delivery.audience.memberships import is_among
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.models import (
    TRUSTED_PROOFS,
    Bounce,
    BounceKind,
    Client,
    Delivery,
    DeliveryState,
    Engagement,
    Mailing,
    MailingKind,
    Run,
    RunState,
)


def has_reacted(
    viewpoint: Viewpoint, op: str, value: int | tuple[str, int], dialect: str
) -> ColumnElement[bool]:
    """Return the condition that a client received letters of these mailings, clicked, or did not get them."""
    runs = select_runs(viewpoint, value)
    rows = select(Delivery.client_id).where(Delivery.run_id.in_(runs), Delivery.client_id.is_not(None))
    if op == "received":
        rows = rows.where(Delivery.state == DeliveryState.SENT)
    elif op == "clicked":
        clicked = select(Engagement.delivery_id).where(Engagement.run_id.in_(runs), Engagement.clicks > 0)
        rows = rows.where(Delivery.id.in_(clicked))
    else:
        # A letter that was reported as spam did arrive. Bounces that could be forged do not count.
        returned = select(Bounce.delivery_id).where(
            Bounce.delivery_id.is_not(None),
            Bounce.kind != BounceKind.COMPLAINT,
            Bounce.proof.in_(TRUSTED_PROOFS),
        )
        rows = rows.where(or_(Delivery.state == DeliveryState.FAILED, Delivery.id.in_(returned)))
    return is_among(Client.id, Delivery.client_id, rows, dialect)


def select_runs(viewpoint: Viewpoint, value: int | tuple[str, int]) -> Select[tuple[int]]:
    """Return a query for the IDs of the runs of a mailing, of the last mailings, or of the last days."""
    statement = (
        select(Run.id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(Mailing.owner_id == viewpoint.owner_id, Mailing.kind == MailingKind.MAILING)
    )
    if isinstance(value, int):
        return statement.where(Mailing.id == value)
    unit, number = value
    if unit == "days":
        return statement.where(Run.started_at >= viewpoint.now - timedelta(days=number))
    latest = (
        select(Run.mailing_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        # The run being planned is not one of the last runs, nor are runs that sent nothing.
        .where(
            Mailing.owner_id == viewpoint.owner_id,
            Mailing.kind == MailingKind.MAILING,
            Run.started_at < viewpoint.now,
            Run.state != RunState.SKIPPED,
        )
        .group_by(Run.mailing_id)
        .order_by(func.max(Run.started_at).desc(), Run.mailing_id.desc())
        .limit(number)
    )
    return statement.where(Mailing.id.in_(latest))
