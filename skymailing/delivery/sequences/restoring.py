"""Record after a restore which letters of sequences may have been sent since the backup was made."""

from datetime import datetime

from sqlalchemy import select, update

from skymailing.delivery.sequences.entering import ENTERED_STATES, enter_by_signals
from skymailing.extensions import db
from skymailing.models import Sequence, Trigger


def mark_sequences(made_at: datetime, now: datetime) -> None:
    """Record when the backup was restored; letters that were due by then are skipped unless owners send them.

    Clients who were about to enter when the backup was made have entered since, so their wait begins at that
    time.
    """
    begun = select(Sequence).where(Sequence.state.in_(ENTERED_STATES)).order_by(Sequence.id)
    for sequence in db.session.scalars(begun).all():
        while enter_by_signals(db.session(), sequence, made_at):
            pass
    values = {"restored_at": now, "updated_at": Sequence.updated_at}
    db.session.execute(update(Sequence).where(Sequence.state.in_(ENTERED_STATES)).values(values))
    unchecked = (Sequence.trigger == Trigger.SEGMENT) & Sequence.checked_at.is_(None)
    unchecked &= Sequence.state.in_(ENTERED_STATES)
    checked = {"checked_at": made_at, "updated_at": Sequence.updated_at}
    db.session.execute(update(Sequence).where(unchecked).values(checked))
