"""Check the invariants of a run against the rows and the letters that the mail server accepted."""

from collections import Counter
from email.parser import BytesHeaderParser

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.models import (
    CAUGHT_KINDS,
    COUNTED_STATES,
    OPEN_DELIVERY_STATES,
    Attempt,
    Delivery,
    DeliveryState,
    Mailing,
    Outcome,
    Run,
    RunInterval,
    RunState,
    UsageHour,
    UsageKind,
)
from tests.support.servers import Letter


def count_states(session: Session, run: Run) -> dict[str, int]:
    """Return the number of deliveries in each state, without states that have none."""
    rows = session.execute(
        select(Delivery.state, func.count()).where(Delivery.run_id == run.id).group_by(Delivery.state)
    )
    return {state.value: count for state, count in rows.tuples()}


def get_only_run(session: Session) -> Run:
    session.expire_all()
    return session.execute(select(Run)).scalar_one()


def get_stored_counts(session: Session, run: Run) -> dict[str, int]:
    """Return the counts that were updated during the run."""
    sums = [func.coalesce(func.sum(RunInterval.__table__.c[state.value]), 0) for state in COUNTED_STATES]
    row = session.execute(select(*sums).where(RunInterval.run_id == run.id)).one()
    return {state.value: int(count) for state, count in zip(COUNTED_STATES, row, strict=True)}


def get_accepted(session: Session, owner_id: int) -> int:
    """Return how many of the owner's letters were counted when a mail server accepted them."""
    own = (UsageHour.owner_id == owner_id) & (UsageHour.kind == UsageKind.ACCEPTED)
    return session.scalar(select(func.sum(UsageHour.count)).where(own)) or 0


def check_accepted(session: Session, owner_id: int) -> None:
    """Assert that every letter of the owner's mailings that a server accepted was counted once."""
    own = (Mailing.owner_id == owner_id) & Mailing.kind.not_in(CAUGHT_KINDS)
    sent = select(func.count()).select_from(Delivery).join(Run, Run.id == Delivery.run_id).join(Run.mailing)
    sent = sent.where(own, Delivery.state == DeliveryState.SENT)
    assert get_accepted(session, owner_id) == session.scalar(sent)


def check_ledger(session: Session, run: Run, letters: list[Letter]) -> None:
    """Assert that the run's ledger is consistent and accounts for every letter that arrived."""
    session.expire_all()
    counts = count_states(session, run)
    assert sum(counts.values()) == run.planned
    if run.state in (RunState.FINISHED, RunState.CANCELLED):
        assert not counts.keys() & set(OPEN_DELIVERY_STATES), "a finished run has no open deliveries"
    assert get_stored_counts(session, run) == {state.value: counts.get(state, 0) for state in COUNTED_STATES}
    arrived = Counter(letter.to for letter in letters)
    parser = BytesHeaderParser()  # bodies are long
    message_ids = Counter(parser.parsebytes(letter.content)["Message-ID"] for letter in letters)
    deliveries = session.scalars(select(Delivery).where(Delivery.run_id == run.id)).all()
    assert set(arrived) <= {delivery.email for delivery in deliveries}
    for delivery in deliveries:
        attempts = session.scalars(
            select(Attempt).where(Attempt.delivery_id == delivery.id).order_by(Attempt.number)
        ).all()
        assert [attempt.number for attempt in attempts] == list(range(1, delivery.attempts + 1))
        unknowns = sum(attempt.outcome is Outcome.UNKNOWN for attempt in attempts)
        assert delivery.unknowns == unknowns
        assert arrived[delivery.email] <= 1 + unknowns
        if delivery.state is DeliveryState.SENT:
            assert attempts[-1].outcome in (Outcome.SENT, Outcome.UNKNOWN)
            assert arrived[delivery.email] >= 1
    assert len(message_ids) == len(arrived)
    check_accepted(session, run.mailing.owner_id)
