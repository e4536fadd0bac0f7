"""Test that defects, removed steps, archived sequences and restored clients do not delay other clients."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from skymailing.clients.deletion import delete_clients, restore_clients
from skymailing.extensions import db
from skymailing.models import (
    Delivery,
    DeliveryState,
    LeaveReason,
    Run,
    Sequence,
    SequenceStep,
    Tag,
    UsageHour,
    UsageKind,
    User,
)
from skymailing.sequences import people, services, steps
from skymailing.sequences.values import SequenceError, StepValues
from tests.conftest import SetLimits
from tests.support.factories import ClientFactory, MessageFactory, create_clients
from tests.support.sequence_factories import ACTOR, NOON, Sequences, days

DAY = timedelta(days=1)
HAS_TAG = {"field": "tag", "op": "is", "value": "customer"}


def test_a_defect_in_one_sequence_does_not_delay_others(
    sequences: Sequences, user: User, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    client = ClientFactory.create(owner=user)
    broken, other = sequences.create(days(0), days(1)), sequences.create(days(0))
    step = sequences.list_steps(broken)[1]
    step.wait = 10**9  # beyond the last date
    session.flush()
    for sequence in (broken, other):
        sequences.add(sequence, client)
    sequences.sweep(NOON)
    assert "failed" in caplog.text
    assert (sequences.count_letters(broken), sequences.count_letters(other)) == ([0, 0], [1])
    step.wait = 1
    session.flush()
    sequences.sweep(NOON + timedelta(seconds=15))
    assert sequences.count_letters(broken) == [1, 0]


def test_changes_within_a_sweep_get_separate_runs(
    sequences: Sequences, user: User, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """All parts of a sweep have the same time, but two runs of a mailing cannot."""
    message = MessageFactory.create(owner=user)
    sequence = sequences.create(days(0, message_id=message.id))
    for number, client in enumerate(create_clients(user, 5)):
        message.subject = f"Subject {min(number, 3)}"
        session.flush()
        sequences.add(sequence, client)
        sequences.sweep(NOON)
    assert "failed" not in caplog.text
    runs = session.scalars(select(Run).order_by(Run.id)).all()
    assert [run.planned for run in runs] == [1, 1, 1, 2]
    assert len({run.scheduled_for for run in runs}) == len(runs)


def test_clients_pass_a_removed_step_whose_condition_cannot_be_evaluated(
    sequences: Sequences, user: User, session: Session
) -> None:
    client = ClientFactory.create(owner=user)
    sequences.tag("customer")
    sequence = sequences.create(days(1, conditions=HAS_TAG), days(1))
    sequences.add(sequence, client)
    sequences.change_step(sequences.list_steps(sequence)[0], steps.remove_step, NOON)
    session.execute(delete(Tag))
    sequences.sweep(NOON + DAY)
    sequences.sweep(NOON + 2 * DAY)
    assert sequences.count_letters(sequence) == [0, 1]


def test_paused_clients_leave_an_archived_sequence(sequences: Sequences, user: User) -> None:
    paused, active = create_clients(user, 2)
    sequence = sequences.create(days(1))
    sequences.add(sequence, paused, active)
    sequences.change_place(sequences.find(sequence, paused), people.pause_client)
    sequences.change(sequence, services.archive_sequence, NOON)
    sequences.sweep(NOON)
    for client in (paused, active):
        assert sequences.find(sequence, client).left_reason == LeaveReason.ARCHIVED
    sequences.session.refresh(sequence)
    assert sequence.left == 2


@pytest.mark.parametrize("removed", [0, 1])
def test_restored_clients_continue_even_if_their_step_was_deleted(
    sequences: Sequences, user: User, app: Flask, removed: int
) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(0), days(1), days(1))
    sequences.add(sequence, client)
    if removed:
        sequences.sweep(NOON)
    with app.app_context():
        _count, removal = delete_clients(user.id, [client.id], NOON, ACTOR)
        assert removal is not None
        db.session.commit()
        removal_id = removal.id
    step = sequences.list_steps(sequence)[removed]
    sequences.change_step(step, steps.remove_step, NOON)
    with app.app_context():
        restore_clients(user.id, removal_id, NOON, ACTOR)
        db.session.commit()
    for number in range(1, 4):
        sequences.sweep(NOON + number * DAY)
    assert sequences.count_letters(sequence) == [1, 1]
    sequences.session.refresh(sequence)
    assert sequence.done == 1


def test_a_step_that_another_tab_has_deleted_is_refused(
    sequences: Sequences, user: User, app: Flask, session: Session
) -> None:
    sequence = sequences.create(days(0), days(1))
    step = sequences.list_steps(sequence)[1]
    values = StepValues(MessageFactory.create(owner=user).id)
    with app.app_context():
        stale = db.session.get_one(SequenceStep, step.id)
        db.session.rollback()
        session.execute(delete(SequenceStep).where(SequenceStep.id == step.id))
        found = db.session.get_one(Sequence, sequence.id)
        services.require_changeable(found)
        with pytest.raises(SequenceError) as added:
            steps.add_step(found, values, NOON, before=stale)
    assert added.value.code == "sequence_step_removed"


def test_no_more_letters_are_planned_than_the_limits_allow_soon(
    sequences: Sequences, user: User, session: Session, set_limits: SetLimits
) -> None:
    """Unsent letters may be skipped as late, so those beyond a limit are not planned yet."""
    set_limits(letters_per_day=3)
    sequence = sequences.create(days(0))
    sequences.add(sequence, *create_clients(user, 8))
    sequences.sweep(NOON)
    sequences.sweep(NOON + DAY)
    assert sequences.count_letters(sequence) == [3]
    session.execute(update(Delivery).values(state=DeliveryState.SENT))
    used = UsageHour(owner_id=user.id, kind=UsageKind.LETTERS, begins_at=NOON + DAY, count=3)
    session.add(used)
    session.flush()
    sequences.sweep(NOON + DAY)
    assert sequences.count_letters(sequence) == [3], "the limit of this day is reached"
    for number in range(2, 4):
        sequences.sweep(NOON + number * DAY)
        session.execute(update(Delivery).values(state=DeliveryState.SENT))
    assert sequences.count_letters(sequence) == [8]
