"""Test when letters are planned, and when clients leave."""

from datetime import datetime, time, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.extensions import db
from skymailing.models import (
    Client,
    Enrolment,
    EnrolmentState,
    LeaveReason,
    MailingState,
    OnLate,
    Run,
    RunState,
    SequenceStep,
    Tag,
    Trigger,
    User,
    WaitUnit,
)
from skymailing.sequences import people, services, steps
from skymailing.sequences.values import SequenceError, StepValues
from tests.support.factories import ClientFactory, MessageFactory, SuppressionFactory, create_clients
from tests.support.sequence_factories import ACTOR, NOON, Sequences, days

DAY = timedelta(days=1)
HAS_TAG = {"field": "tag", "op": "is", "value": "customer"}


def test_clients_get_one_step_after_another(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(0), days(3), days(2, at_time=time(9)))
    sequences.add(sequence, client)

    counts = {}
    for hours in (0, 71, 72, 72 + 45, 72 + 46):
        sequences.sweep(NOON + timedelta(hours=hours))
        counts[hours] = sequences.count_letters(sequence)

    assert counts == {0: [1, 0, 0], 71: [1, 0, 0], 72: [1, 1, 0], 117: [1, 1, 1], 118: [1, 1, 1]}
    enrolment = sequences.find(sequence, client)
    assert enrolment.state == EnrolmentState.DONE
    sequences.session.refresh(sequence)
    assert (sequence.entered, sequence.done, sequence.left) == (1, 1, 0)


def test_letters_of_a_day_share_a_run_until_the_content_changes(
    sequences: Sequences, user: User, session: Session
) -> None:
    message = MessageFactory.create(owner=user)
    sequence = sequences.create(days(0, message_id=message.id))
    for number, client in enumerate(create_clients(user, 3)):
        if number == 2:
            message.subject = "Новая тема"
            session.flush()
        sequences.add(sequence, client, now=NOON + timedelta(minutes=number))
        sequences.sweep(NOON + timedelta(minutes=number))
    runs = session.scalars(select(Run).order_by(Run.id)).all()
    assert [(run.planned, run.state) for run in runs] == [(2, RunState.SEQUENCE), (1, RunState.SEQUENCE)]
    assert runs[1].subject == "Новая тема"


def test_clients_leave_by_the_exit_condition_or_when_unreachable(sequences: Sequences, user: User) -> None:
    buyer, gone, staying = create_clients(user, 3)
    sequences.tag("customer")
    sequence = sequences.create(days(0), days(1), exit_conditions=HAS_TAG)
    sequences.add(sequence, buyer, gone, staying)
    sequences.sweep(NOON)
    sequences.tag("customer", buyer)
    SuppressionFactory.create(owner_id=user.id, email_key=gone.email_key)
    sequences.sweep(NOON + DAY)
    assert sequences.list_letters(sequences.list_steps(sequence)[1]) == [staying.email]
    assert sequences.find(sequence, buyer).left_reason == LeaveReason.CONDITION
    assert sequences.find(sequence, gone).left_reason == LeaveReason.UNREACHABLE
    sequences.session.refresh(sequence)
    assert (sequence.done, sequence.left) == (1, 2)


def test_a_step_with_a_condition_is_skipped_for_others(sequences: Sequences, user: User) -> None:
    buyer, other = create_clients(user, 2)
    sequences.tag("customer", buyer)
    sequence = sequences.create(days(0, conditions=HAS_TAG), days(0))
    sequences.add(sequence, buyer, other)
    sequences.sweep(NOON)
    assert sequences.count_letters(sequence) == [1, 2]
    assert [step.skipped for step in sequences.list_steps(sequence)] == [1, 0]


def test_a_condition_on_a_deleted_tag_stops_the_step(
    sequences: Sequences, user: User, session: Session
) -> None:
    sequences.tag("customer")
    sequence = sequences.create(days(0, conditions={"not": HAS_TAG}))
    sequences.add(sequence, ClientFactory.create(owner=user))
    session.execute(Tag.metadata.tables["tags"].delete())
    sequences.sweep(NOON)
    (step,) = sequences.list_steps(sequence)
    session.refresh(step.mailing)
    assert sequences.count_letters(sequence) == [0]
    assert (step.mailing.state, step.mailing.state_reason) == (MailingState.PAUSED, "audience-broken")


def test_letters_wait_for_the_sending_hours(sequences: Sequences, user: User) -> None:
    user.timezone = "Europe/Moscow"
    sequences.session.flush()
    sequence = sequences.create(days(0), weekdays="2", opens_at=time(9), closes_at=time(18))
    sequences.add(sequence, ClientFactory.create(owner=user))
    tuesday = datetime(2026, 3, 3, 6, tzinfo=NOON.tzinfo)
    sequences.sweep(tuesday - timedelta(seconds=1))
    assert sequences.count_letters(sequence) == [0]
    sequences.sweep(tuesday)
    assert sequences.count_letters(sequence) == [1]


@pytest.mark.parametrize(("on_late", "counts"), [(OnLate.SEND, [1, 0]), (OnLate.SKIP, [0, 0])])
def test_no_one_gets_many_letters_after_a_pause_of_a_month(
    sequences: Sequences, user: User, on_late: OnLate, counts: list[int]
) -> None:
    sequence = sequences.create(days(0), days(1), on_late=on_late)
    sequences.add(sequence, ClientFactory.create(owner=user))
    sequences.change(sequence, services.pause_sequence)
    for day in range(30):
        sequences.sweep(NOON + day * DAY)
    assert sequences.count_letters(sequence) == [0, 0]
    sequences.change(sequence, services.start_sequence, NOON + 30 * DAY, ACTOR)
    sequences.sweep(NOON + 30 * DAY)
    assert sequences.count_letters(sequence) == counts
    sequences.sweep(NOON + 31 * DAY)
    assert sequences.count_letters(sequence)[1] == 1


def test_clients_waiting_for_a_removed_step_continue(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(0), days(1), days(1))
    sequences.add(sequence, client)
    sequences.sweep(NOON)
    second = sequences.list_steps(sequence)[1]
    sequences.change_step(second, steps.remove_step, NOON)
    sequences.sweep(NOON + DAY)
    sequences.sweep(NOON + 2 * DAY)
    assert sequences.count_letters(sequence) == [1, 0, 1]


def test_no_one_gets_a_step_again_after_it_was_moved(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(0), days(1))
    sequences.add(sequence, client)
    sequences.sweep(NOON)
    first, second = sequences.list_steps(sequence)
    sequences.change_step(second, steps.move_step_up)
    sequences.sweep(NOON + DAY)
    sequences.sweep(NOON + 2 * DAY)
    assert sequences.list_letters(first) == sequences.list_letters(second) == [client.email]
    assert sequences.find(sequence, client).state == EnrolmentState.DONE


def test_an_archived_sequence_ends_for_everyone(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(1))
    sequences.add(sequence, client)
    sequences.change(sequence, services.archive_sequence, NOON)
    sequences.sweep(NOON + DAY)
    assert sequences.find(sequence, client).left_reason == LeaveReason.ARCHIVED
    assert sequences.count_letters(sequence) == [0]


def test_the_owner_changes_the_progress_of_a_client(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(5), days(5), days(5))
    sequences.add(sequence, client)
    enrolment = sequences.find(sequence, client)
    sequences.change_place(enrolment, people.skip_wait, NOON)
    sequences.sweep(NOON)
    sequences.deliver(NOON)
    sequences.change_place(enrolment, people.skip_step, NOON)
    sequences.change_place(enrolment, people.pause_client)
    sequences.sweep(NOON + 9 * DAY)
    assert sequences.count_letters(sequence) == [1, 0, 0]
    sequences.change_place(enrolment, people.resume_client)
    sequences.sweep(NOON + 9 * DAY)
    assert sequences.count_letters(sequence) == [1, 0, 1]
    sequences.session.refresh(enrolment)
    assert enrolment.state == EnrolmentState.DONE

    def start_again(sequence: object, moment: datetime) -> None:
        people.add_client(sequence, db.session.get_one(Client, client.id), moment, may_repeat=True)  # type: ignore[arg-type]

    sequences.change(sequence, start_again, NOON + 9 * DAY)
    enrolment = sequences.find(sequence, client)
    assert (enrolment.entry, enrolment.state) == (2, EnrolmentState.ACTIVE)
    sequences.change_place(enrolment, people.remove_client, NOON)
    assert enrolment.left_reason == LeaveReason.REMOVED


def test_a_restart_on_the_same_day_sends_the_letter_again(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(0))
    for hour in range(3):
        with sequences.app.app_context():
            found = db.session.get_one(type(sequence), sequence.id)
            own = db.session.get_one(Client, client.id)
            people.add_client(found, own, NOON + timedelta(hours=hour), may_repeat=True)
            db.session.commit()
        sequences.sweep(NOON + timedelta(hours=hour))
    assert sequences.count_letters(sequence) == [3]


def test_waits_keep_the_local_time_across_clock_changes(sequences: Sequences, user: User) -> None:
    user.timezone = "Europe/Berlin"
    sequences.session.flush()
    before = datetime(2026, 3, 28, 1, 30, tzinfo=NOON.tzinfo)  # 2:30 in Berlin, skipped on the next day
    sequence = sequences.create(days(0), days(1), {"wait": 90, "wait_unit": WaitUnit.MINUTES}, now=before)
    sequences.add(sequence, client := ClientFactory.create(owner=user), now=before)
    sequences.sweep(before)
    enrolment = sequences.find(sequence, client)
    assert enrolment.due_at == datetime(2026, 3, 29, 1, tzinfo=NOON.tzinfo)
    assert enrolment.due_at is not None
    first_hour = enrolment.due_at
    sequences.sweep(first_hour)
    assert sequences.find(sequence, client).due_at == first_hour + timedelta(minutes=90)


def test_a_draft_needs_a_step_and_a_trigger(sequences: Sequences, user: User) -> None:
    empty = sequences.create(is_started=False)
    with pytest.raises(SequenceError, match="sequence_no_steps"):
        sequences.change(empty, services.start_sequence, NOON, ACTOR)
    aimless = sequences.create(days(0), trigger=Trigger.TAG, is_started=False)
    with pytest.raises(SequenceError, match="sequence_trigger_missing"):
        sequences.change(aimless, services.start_sequence, NOON, ACTOR)
    foreign = MessageFactory.create()
    with pytest.raises(SequenceError, match="sequence_target_missing"):
        sequences.change(empty, steps.add_step, StepValues(foreign.id), NOON)


def test_sweeps_at_the_same_time_plan_each_letter_once(sequences: Sequences, user: User) -> None:
    create_clients(user, 5)
    sequence = sequences.create(days(0), days(0), days(0))
    sequences.add(sequence, *sequences.session.scalars(select(Client)).all())
    for _ in range(3):
        sequences.sweep(NOON)
    assert sequences.count_letters(sequence) == [5, 5, 5]
    assert sequences.session.scalars(select(Enrolment.state).distinct()).all() == [EnrolmentState.DONE]
    assert sequences.session.scalars(select(SequenceStep.skipped).distinct()).all() == [0]
