"""Count opt-outs in the runs whose letters they came from.

Links do not identify their letters, so an opt-out is counted for the last letter that was sent to the
address, or the last one about the same topic, if there is one. An address counts only once in a run, even if
it leaves a topic first and unsubscribes from everything later.
"""

from datetime import datetime

from sqlalchemy import case, exists, select

from skymailing.delivery.ledger.later_counts import add_later_counts
from skymailing.extensions import db
from skymailing.models import Client, Delivery, DeliveryState, OptOut, Run


def find_run(owner_id: int, email_key: str, topic_id: int | None) -> int | None:
    """Return the ID of the run that sent the last letter to the address; None if there is none."""
    is_same_topic = case((Run.topic_id == topic_id, 0), else_=1)
    statement = (
        select(Run.id)
        .join(Delivery, Delivery.run_id == Run.id)
        .join(Client, Client.id == Delivery.client_id)
        .where(
            Client.owner_id == owner_id,
            Client.email_key == email_key,
            Delivery.email_key == email_key,
            Delivery.state == DeliveryState.SENT,
        )
        .order_by(is_same_topic, Delivery.id.desc())
        .limit(1)
    )
    return db.session.scalar(statement)


def count_added(opt_out: OptOut) -> None:
    """Count an opt-out that was just stored."""
    _count(opt_out, 1, opt_out.at)


def count_undone(opt_out: OptOut) -> None:
    """Subtract an opt-out where it was counted."""
    _count(opt_out, -1, opt_out.at)


def _count(opt_out: OptOut, change: int, at: datetime) -> None:
    if opt_out.run_id is None or _has_another(opt_out):
        return
    add_later_counts(db.session.connection(), {opt_out.run_id: {"unsubscribed": change}}, at)


def _has_another(opt_out: OptOut) -> bool:
    another = exists().where(
        OptOut.owner_id == opt_out.owner_id,
        OptOut.email_key == opt_out.email_key,
        OptOut.run_id == opt_out.run_id,
        OptOut.undone_at.is_(None),
        OptOut.id != opt_out.id,
    )
    return bool(db.session.scalar(select(another)))
