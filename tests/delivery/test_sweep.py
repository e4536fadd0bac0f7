"""Test the sweep: one at a time, in timed parts, and with as many statements for many runs as for one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from skymailing import jobs, queue, schedule, worker
from skymailing.clock import utcnow
from skymailing.delivery.recovery import sweep as recovery
from skymailing.extensions import db
from skymailing.models import DeliveryState, Mailing, MailingState, Run, RunState, StateReason, User
from tests.delivery.conftest import Work
from tests.support.factories import MailingFactory, create_clients, create_run, due_mailing
from tests.support.servers import RedisServer, SmtpServer


def create_open_runs(owner: User, count: int, state: DeliveryState) -> list[Run]:
    return [
        create_run(
            MailingFactory.create(owner=owner, state=MailingState.RUNNING), {state: 1}, state=RunState.SENDING
        )
        for _ in range(count)
    ]


@contextmanager
def count_statements(app: Flask) -> Iterator[list[str]]:
    seen: list[str] = []
    with app.app_context():
        engine = db.engine

    def record(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", record)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", record)


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.DEFERRED])
def test_a_sweep_needs_as_many_statements_for_many_runs_as_for_one(
    app: Flask, session: Session, user: User, state: DeliveryState
) -> None:
    counts = []
    with app.app_context():
        jobs.run_sweep(utcnow())  # with the tasks that run once an hour
    for more in (1, 30):
        create_open_runs(user, more, state)
        with count_statements(app) as statements, app.app_context():
            found = jobs.run_sweep(utcnow())
        counts.append(len(statements))
        total = session.scalar(select(func.count()).select_from(Run))
        assert len(found.runs) == (total if state == "pending" else 0)
    # On a busy machine, retention may repeat a statement that has used up its share of the time.
    assert abs(counts[1] - counts[0]) < 5, counts


def test_a_sweep_does_nothing_while_another_one_is_in_progress(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work, redis_server: RedisServer
) -> None:
    create_clients(user, 1)
    due_mailing(user)
    with app.app_context():
        assert queue.hold_lease(schedule.SWEEP_ID, "another", 30)
        jobs.sweep()
        work()
        assert smtp.letters == []

        queue.end_lease(schedule.SWEEP_ID, "another")
        jobs.sweep()
    work()

    assert len(smtp.letters) == 1
    assert not redis_server.client.exists("skymailing:lease:sweep")


def test_letters_are_sent_between_the_parts_of_a_long_sweep(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this test, every part counts as long, and records how many letters were sent before it."""
    create_clients(user, 1)
    due_mailing(user)
    seen: list[int] = []
    monkeypatch.setattr(jobs, "SWEEP_CHECK", 0)
    monkeypatch.setattr(jobs, "_should_yield", lambda _elapsed: True)
    monkeypatch.setattr(worker, "MAX_SYSTEM_SECONDS", 0)
    monkeypatch.setattr(jobs, "PERIODIC_TASKS", (lambda _now: seen.append(len(smtp.letters)),) * 20)

    with app.app_context():
        jobs.sweep()
    work()

    assert len(seen) == 20
    assert seen[-1] == 1


@pytest.mark.parametrize(("pause", "updates"), [(0.0, 1), (0.06, 5)])
def test_a_sweep_updates_its_lease_before_a_part_only_if_time_has_passed(
    app: Flask,
    redis_server: RedisServer,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    pause: float,
    updates: int,
) -> None:
    """Each update but the first, which takes the lease, renews it with EXPIRE."""
    monkeypatch.setattr(jobs, "REPAIRS", ())
    monkeypatch.setattr(jobs, "hint_due_work", lambda _now: None)
    monkeypatch.setattr(jobs, "PERIODIC_TASKS", (lambda _now: time.sleep(pause),) * 5)
    monkeypatch.setattr(jobs, "SWEEP_CHECK", 0.05 if pause else 60)
    redis_server.client.config_resetstat()
    with app.app_context():
        jobs.sweep()
    renewed = redis_server.client.info("commandstats").get("cmdstat_expire", {"calls": 0})["calls"]
    assert renewed == updates - 1


def test_a_replaced_sweep_stops(app: Flask, session: Session, user: User) -> None:
    create_clients(user, 1)
    due_mailing(user)
    with app.app_context():
        assert queue.hold_lease(schedule.SWEEP_ID, "another", 30)
        jobs.continue_sweep(0, "mine", utcnow().timestamp())
        assert queue.count_waiting() == {queue.SYSTEM: 0, queue.DELIVERY: 0}


def test_runs_that_cannot_be_finished_in_time_are_left_to_the_next_sweep(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = create_open_runs(user, 3, DeliveryState.SENT)
    with app.app_context():
        monkeypatch.setattr(recovery, "PART_SECONDS", -1)
        recovery.finish_ended_runs(utcnow())
        assert session.scalars(select(Run.state)).all() == [RunState.SENDING] * 3

        monkeypatch.undo()
        recovery.finish_ended_runs(utcnow())
    session.expire_all()
    assert [run.state for run in runs] == [RunState.FINISHED] * 3


def test_mailings_whose_window_is_over_are_finished_at_once(app: Flask, session: Session, user: User) -> None:
    past = utcnow() - timedelta(minutes=1)
    values = {"owner": user, "ends_at": past, "next_run_at": past}
    never_run = MailingFactory.create(state=MailingState.SCHEDULED, **values)
    has_run = MailingFactory.create(state=MailingState.PAUSED, state_reason="rejected: 550", **values)
    create_run(has_run, {DeliveryState.SENT: 1})

    with app.app_context():
        recovery.finish_expired_mailings(utcnow())

    session.expire_all()
    rows = session.execute(
        select(Mailing.id, Mailing.state, Mailing.next_run_at, Mailing.state_reason).order_by(Mailing.id)
    )
    assert [tuple(row) for row in rows] == [
        (never_run.id, MailingState.FINISHED, None, StateReason.WINDOW_OVER),
        (has_run.id, MailingState.FINISHED, None, "rejected: 550"),
    ]
