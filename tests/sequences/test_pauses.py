"""Test that planned letters wait while a sequence cannot send, and then follow the owner's choice."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.delivery import due, plan
from skymailing.delivery.ledger.open_runs import load_open_run
from skymailing.extensions import db
from skymailing.models import Delivery, DeliveryState, OnLate, Run, RunState, Sequence, User
from skymailing.sequences import services, unknowns
from skymailing.sequences.forms import describe_sequence
from skymailing.sequences.values import SequenceValues
from tests.delivery.ledger import check_ledger
from tests.support.factories import ClientFactory, create_clients
from tests.support.sequence_factories import ACTOR, NOON, Sequences, days

DAY = timedelta(days=1)
PENDING, EXPIRED = DeliveryState.PENDING, DeliveryState.EXPIRED


def close_ended(app: Flask, now: datetime) -> None:
    """Finish runs that are over, as the engine's sweep does."""
    with app.app_context():
        for run_id in due.find_ended_runs(now):
            plan.finish_run(run_id, now)


def may_send(app: Flask, now: datetime) -> bool:
    """Return whether a worker would send letters of the only run."""
    with app.app_context(), db.engine.connect() as connection:
        run_id = connection.scalar(select(Run.id))
        assert run_id is not None
        return load_open_run(connection, run_id, now) is not None


def list_states(session: Session) -> list[DeliveryState]:
    session.expire_all()
    return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


def pause_with_a_letter(sequences: Sequences, *more: dict[str, Any], **values: Any) -> Sequence:
    """Plan the first letter for a client, and pause before it is sent."""
    sequence = sequences.create(days(0), *more, **values)
    sequences.add(sequence, ClientFactory.create(owner=sequences.owner))
    sequences.sweep(NOON)
    sequences.change(sequence, services.pause_sequence)
    return sequence


@pytest.mark.parametrize(
    ("on_late", "passed", "state"),
    [
        (OnLate.SEND, 9, PENDING),
        (OnLate.SEND, 400, PENDING),
        (OnLate.SKIP, 1, PENDING),
        (OnLate.SKIP, 9, EXPIRED),
    ],
)
def test_planned_letters_follow_the_choice_after_a_pause(
    app: Flask, sequences: Sequences, session: Session, on_late: OnLate, passed: int, state: DeliveryState
) -> None:
    sequence = pause_with_a_letter(sequences, on_late=on_late)
    later = NOON + passed * DAY
    close_ended(app, later)
    assert list_states(session) == [PENDING], "the letter is kept while the owner can still choose"
    sequences.change(sequence, services.start_sequence, later, ACTOR)
    assert may_send(app, later) is (state is PENDING), "not even before the next sweep"
    close_ended(app, later)
    assert list_states(session) == [state]
    (step,) = sequences.list_steps(sequence)
    assert step.skipped == int(state is EXPIRED)
    run = session.scalars(select(Run)).one()
    assert run.state is (RunState.SEQUENCE if state is PENDING else RunState.FINISHED)
    check_ledger(session, run, [])


def test_the_owner_may_choose_during_the_pause(app: Flask, sequences: Sequences, session: Session) -> None:
    sequence = pause_with_a_letter(sequences, on_late=OnLate.SKIP)
    later = NOON + 9 * DAY
    close_ended(app, later)
    values = SequenceValues("Welcome", on_late=OnLate.SEND)
    sequences.change(sequence, services.update_sequence, values, later)
    sequences.change(sequence, services.start_sequence, later, ACTOR)
    close_ended(app, later)
    assert list_states(session) == [PENDING]
    assert describe_sequence(sequence)["on_late"] == "send"


def test_letters_of_a_blocked_owner_wait(
    app: Flask, sequences: Sequences, session: Session, user: User
) -> None:
    sequence = sequences.create(days(0), on_late=OnLate.SKIP)
    sequences.add(sequence, ClientFactory.create(owner=user))
    sequences.sweep(NOON)
    user.blocked_at = NOON
    session.flush()
    close_ended(app, NOON + 9 * DAY)
    assert list_states(session) == [PENDING]
    user.blocked_at = None
    session.flush()
    close_ended(app, NOON + 9 * DAY)
    assert list_states(session) == [EXPIRED]


def test_closed_hours_do_not_make_letters_late(app: Flask, sequences: Sequences, session: Session) -> None:
    hours: dict[str, Any] = {"weekdays": "1", "opens_at": time(9), "closes_at": time(13)}
    sequence = sequences.create(days(0), on_late=OnLate.SKIP, **hours)
    sequences.add(sequence, ClientFactory.create(owner=sequences.owner))
    sequences.sweep(NOON)
    states = {}
    for passed in (6 * DAY, 7 * DAY, 8 * DAY):  # Sunday, the next Monday and the day after it
        close_ended(app, NOON + passed)
        states[passed.days] = list_states(session)
    assert states == {6: [PENDING], 7: [PENDING], 8: [EXPIRED]}


def test_letters_that_are_sent_again_on_request_are_not_skipped(
    app: Flask, sequences: Sequences, session: Session
) -> None:
    sequence = sequences.create(days(0), on_late=OnLate.SKIP)
    sequences.add(sequence, *create_clients(sequences.owner, 2))
    sequences.sweep(NOON)
    first = session.scalars(select(Delivery.id).order_by(Delivery.id)).first()
    unknown = {"state": DeliveryState.UNKNOWN, "unknowns": 1}
    session.execute(update(Delivery).where(Delivery.id == first).values(unknown))
    later = NOON + 5 * DAY
    sequences.change(sequence, unknowns.resend, later)
    assert not may_send(app, later)
    close_ended(app, later)
    assert list_states(session) == [DeliveryState.DEFERRED, EXPIRED]
    assert may_send(app, later)


@pytest.mark.parametrize("is_sent", [False, True], ids=["waiting", "just-sent"])
def test_no_one_gets_the_planned_letter_and_the_next_one_at_once(sequences: Sequences, is_sent: bool) -> None:
    sequence = pause_with_a_letter(sequences, days(3), days(0))
    later = NOON + 9 * DAY
    sequences.change(sequence, services.start_sequence, later, ACTOR)
    if is_sent:
        sequences.deliver(later)
    sequences.sweep(later + timedelta(minutes=1))
    assert sequences.count_letters(sequence) == [1, 0, 0]
    sequences.sweep(later + 3 * DAY)
    assert sequences.count_letters(sequence) == [1, 0, 0]
    sequences.sweep(later + 3 * DAY + timedelta(minutes=1))
    assert sequences.count_letters(sequence) == [1, 1, 1]


def test_a_letter_sent_on_time_does_not_delay_the_next_one(sequences: Sequences) -> None:
    sequence = sequences.create(days(0), days(3))
    sequences.add(sequence, ClientFactory.create(owner=sequences.owner))
    sequences.sweep(NOON)
    sequences.deliver(NOON)
    sequences.change(sequence, services.pause_sequence)
    sequences.change(sequence, services.start_sequence, NOON + 9 * DAY, ACTOR)
    sequences.sweep(NOON + 9 * DAY)
    assert sequences.count_letters(sequence) == [1, 1]
