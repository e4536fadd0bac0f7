"""Test that no client gets a letter twice, or misses one, when workers are killed or run concurrently."""

import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from skymailing import delivery
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.sequences import sweep
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Enrolment,
    EnrolmentState,
    Mailing,
    Run,
    RunState,
    Sequence,
    Trigger,
    User,
)
from skymailing.sequences import unknowns
from skymailing.sequences.services import start_sequence
from tests.delivery.ledger import check_ledger
from tests.faults.workers import LiveRun, add_clients, run_workers
from tests.processes.service import wait_until
from tests.support.factories import MessageFactory
from tests.support.sequence_factories import ACTOR, NOON, Sequences, days
from tests.support.servers import RedisServer, SmtpServer
from tests.support.steps import StepTracer, kill_process

FILES = {str(path) for path in (Path(delivery.__path__[0]) / "sequences").glob("*.py")}
CLIENTS = 4


def list_clients(session: Session) -> list[Client]:
    return list(session.scalars(select(Client).order_by(Client.id)))


def kill_sweep(app: Flask, step: int) -> None:
    """Sweep in a child process that is killed before the given line."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        with app.app_context():
            db.engine.dispose(close=False)  # these connections belong to the parent
            with StepTracer(FILES, step, kill_process):
                sweep.run_due(NOON)
    finally:
        os._exit(0)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("sample", [4, pytest.param(150, marks=pytest.mark.soak)])
def test_a_worker_may_end_before_any_line(
    app: Flask, sequences: Sequences, user: User, session: Session, sample: int
) -> None:
    add_clients(session, user, CLIENTS)
    label = sequences.tag("lead")

    def begin() -> None:
        session.execute(delete(Enrolment))
        session.execute(delete(Delivery))
        session.execute(delete(Run))
        sequences.untag_all()
        sequences.tag("lead", *list_clients(session))

    sequence = sequences.create(days(0), days(0), trigger=Trigger.TAG, tag_id=label.id)
    begin()
    with app.app_context(), StepTracer(FILES) as tracer:
        sweep.run_due(NOON)
    assert sequences.count_letters(sequence) == [CLIENTS, CLIENTS]
    for step in sorted(random.sample(range(1, tracer.count + 1), min(sample, tracer.count))):
        begin()
        kill_sweep(app, step)
        sequences.sweep(NOON)
        outcome = f"killed before line {step} of {tracer.count}"
        assert sequences.count_letters(sequence) == [CLIENTS, CLIENTS], outcome
        for run in session.scalars(select(Run).execution_options(populate_existing=True)):
            check_ledger(session, run, [])


@pytest.mark.parametrize(
    ("count", "kills"),
    [
        pytest.param(150, 2, id="twice"),
        pytest.param(3000, 100, id="a-hundred-times", marks=pytest.mark.soak),
    ],
)
def test_killed_workers_send_no_step_twice(
    app: Flask,
    environment: dict[str, str],
    sequences: Sequences,
    user: User,
    smtp: SmtpServer,
    count: int,
    kills: int,
) -> None:
    session = sequences.session
    add_clients(session, user, count)
    messages = [MessageFactory.create(owner=user, subject=f"Шаг {number}") for number in range(3)]
    minutes = [{"message_id": message.id, "wait_unit": "minutes", "wait": 0} for message in messages]
    sequence = sequences.create(*minutes, now=utcnow())
    with run_workers(environment, 2) as workers:
        live = LiveRun(app, environment, session, workers)
        sequences.add(sequence, *list_clients(session), now=utcnow())
        live.sweep()
        for number in range(kills):
            live.wait_for_letters(smtp, 3 * count * (number + 1) // (kills + 2))
            time.sleep(random.uniform(0, 0.05))
            live.kill_one()
        wait_until(lambda: is_over(live), "all letters have a result", 180)
    assert sequences.count_letters(sequence) == [count] * 3
    letters = Counter((letter.to, subject_of(letter.content)) for letter in smtp.letters)
    unknown = count_deliveries(session, DeliveryState.UNKNOWN)
    assert set(letters.values()) == {1}
    assert 3 * count - unknown <= len(letters) <= 3 * count
    for run in session.scalars(select(Run)).all():
        titles = [letter for letter in smtp.letters if subject_of(letter.content) == run.subject]
        check_ledger(session, run, titles)


def is_over(live: LiveRun) -> bool:
    """Sweep, and return whether no delivery is open and no client is in a sequence."""
    live.sweep()
    time.sleep(0.5)
    live.session.expire_all()
    is_active = select(func.count()).where(Enrolment.state == EnrolmentState.ACTIVE)
    open_states = [DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED]
    return not live.session.scalar(is_active) and not sum(
        count_deliveries(live.session, state) for state in open_states
    )


def count_deliveries(session: Session, state: DeliveryState) -> int:
    return session.scalar(select(func.count()).where(Delivery.state == state)) or 0


def subject_of(content: bytes) -> str:
    return str(BytesHeaderParser(policy=policy.default).parsebytes(content)["Subject"])


def test_workers_at_the_same_time_plan_each_letter_once(
    app: Flask, sequences: Sequences, user: User, session: Session
) -> None:
    add_clients(session, user, 300)
    sequence = sequences.create(days(0), days(0), days(0))
    sequences.add(sequence, *list_clients(session))

    def run(_number: int) -> None:
        with app.app_context():
            sweep.run_due(NOON)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))
    sequences.sweep(NOON)
    assert sequences.count_letters(sequence) == [300, 300, 300]


def test_no_letter_is_lost_when_redis_is_emptied_and_the_clock_jumps(
    sequences: Sequences, user: User, session: Session, redis_server: RedisServer
) -> None:
    add_clients(session, user, 1)
    label = sequences.tag("lead")
    sequence = sequences.create(days(0), days(1), trigger=Trigger.TAG, tag_id=label.id)
    sequences.tag("lead", *list_clients(session))
    redis_server.client.flushall()
    ahead = NOON + timedelta(days=400)
    counts = []
    for moment in (NOON - timedelta(days=400), ahead, NOON, ahead, ahead + timedelta(days=1)):
        sequences.sweep(moment)
        sequences.deliver(moment)
        counts.append(sequences.count_letters(sequence))
    # The first letter is planned at once; the second a day after the earliest of these times.
    assert counts == [[1, 0], [1, 1], [1, 1], [1, 1], [1, 1]]


def test_a_run_of_a_day_ends_after_the_day(
    sequences: Sequences, user: User, session: Session, app: Flask
) -> None:
    add_clients(session, user, 1)
    sequence = sequences.create(days(0))
    sequences.add(sequence, *list_clients(session))
    sequences.sweep(NOON)
    run = session.scalars(select(Run)).one()
    ends = {}
    with app.app_context():
        for passed in (timedelta(days=1), timedelta(days=90)):
            ends[passed.days] = plan.finish_run(run.id, NOON + passed)
        session.execute(update(Delivery).values(state=DeliveryState.SENT, finished_at=NOON))
        ends[0] = plan.finish_run(run.id, NOON)
        ends[91] = plan.finish_run(run.id, NOON + timedelta(days=91))
    assert ends == {1: False, 90: False, 0: False, 91: True}
    mailing = session.scalars(select(Mailing)).one()
    assert mailing.state == "running"
    sequences.change(sequence, start_sequence, NOON, ACTOR)


def test_the_owner_decides_about_unknown_letters(sequences: Sequences, user: User, session: Session) -> None:
    add_clients(session, user, 2)
    sequence = sequences.create(days(0))
    sequences.add(sequence, *list_clients(session))
    sequences.sweep(NOON)
    session.execute(update(Delivery).values(state=DeliveryState.UNKNOWN, unknowns=1, finished_at=None))
    session.execute(update(Run).values(state=RunState.FINISHED, finished_at=NOON))
    first = session.scalars(select(Delivery).order_by(Delivery.id)).first()
    assert first is not None
    first.state = DeliveryState.SENT
    session.flush()
    with sequences.app.app_context():
        found = db.session.get_one(Sequence, sequence.id)
        assert unknowns.count_waiting(found) == 1
        assert unknowns.resend(found, NOON) == 1
        db.session.commit()
        assert unknowns.count_waiting(found) == unknowns.leave(found, NOON) == 0
    session.expire_all()
    states = session.scalars(select(Delivery.state).order_by(Delivery.id)).all()
    assert states == [DeliveryState.SENT, DeliveryState.DEFERRED]
    assert session.scalars(select(Run.state)).one() == RunState.SEQUENCE
