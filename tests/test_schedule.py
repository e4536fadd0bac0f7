"""Test the scheduler's lock, heartbeat and sweeps (for start times, see tests/mailings)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import jobs, queue, schedule
from skymailing.clock import utcnow
from skymailing.models import MailingState
from skymailing.worker import make_worker
from tests.processes.service import wait_until
from tests.support.factories import MailingFactory, UserFactory, create_clients, due_mailing
from tests.support.servers import RedisServer, SmtpServer


def test_a_scheduler_killed_with_the_lock_delays_the_next_by_less_than_two_seconds(
    app: Flask, session: Session
) -> None:
    with app.app_context():
        assert schedule.make_scheduler().acquire_lock()  # and never releases it
        next_scheduler = schedule.make_scheduler()
        assert next_scheduler.connection.pttl(next_scheduler.scheduler_lock_key) < 2000

        wait_until(next_scheduler.acquire_lock, "the lock has expired", seconds=30)


def test_a_scheduler_is_alive_again_after_redis_has_been_emptied(
    app: Flask, session: Session, redis_server: RedisServer
) -> None:
    with app.app_context():
        scheduler = schedule.make_scheduler()
        scheduler.register_birth()
        redis_server.client.flushall()
        assert not schedule.is_alive()

        scheduler.heartbeat()

        assert schedule.is_alive()


def test_the_sweep_is_scheduled_again_after_redis_has_been_emptied(
    app: Flask, session: Session, redis_server: RedisServer
) -> None:
    with app.app_context():
        scheduler = schedule.make_scheduler()
        for _ in range(2):
            redis_server.client.flushall()
            scheduler.enqueue_jobs()

            assert queue.get_queue(queue.SYSTEM).job_ids == [schedule.SWEEP_ID]


@pytest.mark.parametrize(("due_in", "pause"), [(0.3, 0.31), (5, 1), (-3, 0.01)])
def test_the_next_check_takes_place_when_a_job_is_due(
    app: Flask, session: Session, due_in: float, pause: float
) -> None:
    with app.app_context():
        scheduler = schedule.make_scheduler()
        scheduler.enqueue_jobs()
        scheduler.acquire_lock()
        now = utcnow().timestamp()
        scheduler.connection.zadd(scheduler.scheduled_jobs_key, {"job": now + due_in})
        assert scheduler._find_pause() == pytest.approx(pause, abs=0.05)


def test_workers_are_counted_even_after_redis_has_been_emptied(
    app: Flask, session: Session, redis_server: RedisServer
) -> None:
    with app.app_context():
        assert queue.count_workers() == 0
        worker = make_worker()
        redis_server.client.flushall()

        assert queue.count_workers() == 1

        worker.connection.close()
        wait_until(lambda: queue.count_workers() == 0, "Redis has noticed")


@pytest.mark.parametrize(("waited", "is_due"), [(-0.05, False), (0.01, True)])
def test_a_mailing_starts_within_hundredths_of_a_second(
    app: Flask, session: Session, waited: float, is_due: bool
) -> None:
    start = datetime(2099, 1, 1, 12, 0, 0, 300_000, tzinfo=UTC)
    mailing = MailingFactory.create(
        starts_at=start, next_run_at=start, ends_at=start.replace(day=2), state=MailingState.SCHEDULED
    )
    with app.app_context():
        scheduler = schedule.make_scheduler()
        schedule._schedule(scheduler, [schedule.Wake.start(mailing.id, start)])

        with time_machine.travel(start + timedelta(seconds=waited), tick=False):
            due = list(scheduler.get_jobs_to_queue())

    assert bool(due) is is_due


@pytest.mark.one_engine
@pytest.mark.parametrize(("late_by", "is_corrected"), [(-0.4, True), (0, False), (0.4, False), (1.5, True)])
def test_a_job_scheduled_too_early_or_too_late_is_corrected(
    app: Flask, session: Session, late_by: float, *, is_corrected: bool
) -> None:
    now = utcnow()
    at = now + timedelta(minutes=1)
    mailing_id = MailingFactory.create(state=MailingState.SCHEDULED, starts_at=at, next_run_at=at).id
    session.commit()
    with app.app_context():
        scheduler = schedule.make_scheduler()
        schedule.reconcile(now)
        key, name = scheduler.scheduled_jobs_key, schedule.Wake.start(mailing_id, at).name
        assert scheduler.connection.zscore(key, name) == at.timestamp()
        scheduler.connection.zadd(key, {name: at.timestamp() + late_by})
        assert schedule.reconcile(now) == is_corrected


def test_a_sweep_continues_letters_even_when_another_task_fails(
    app: Flask, session: Session, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    """The failing task is a daily summary in a time zone that does not exist."""
    mailing = due_mailing(UserFactory.create())
    create_clients(mailing.owner, 2)
    UserFactory.create(timezone="Mars/Olympus", summary_hour=8, next_summary_at=utcnow())

    with app.app_context(), pytest.raises(ZoneInfoNotFoundError):
        jobs.run_sweep(utcnow())
    work()

    assert len(smtp.letters) == 2


@pytest.mark.parametrize("barred", ["owner", "mailing"])
def test_overdue_mailings_that_may_not_start_get_no_start_jobs(
    app: Flask, session: Session, redis_server: RedisServer, barred: str
) -> None:
    values = {"blocked_at": utcnow()} if barred == "owner" else {}
    owner = UserFactory.create(**values)
    overdue = utcnow() - timedelta(hours=1)
    for hours in (0, 2):
        due_mailing(
            owner,
            next_run_at=overdue + timedelta(hours=hours),
            disabled_at=utcnow() if barred == "mailing" else None,
        )

    with app.app_context():
        for _ in range(3):
            jobs.run_sweep(utcnow())
            schedule.make_scheduler().enqueue_jobs()
        waiting = queue.get_queue(queue.SYSTEM).jobs

    assert "skymailing.jobs.start_mailing" not in [job.func_name for job in waiting]


def test_a_sweep_queues_an_overdue_start_only_once(
    app: Flask, session: Session, redis_server: RedisServer
) -> None:
    due_mailing(UserFactory.create(), next_run_at=utcnow() - timedelta(hours=1))

    with app.app_context():
        for _ in range(3):
            jobs.run_sweep(utcnow())
            schedule.make_scheduler().enqueue_jobs()
        waiting = queue.get_queue(queue.SYSTEM).jobs

    assert [job.func_name for job in waiting].count("skymailing.jobs.start_mailing") == 1


def test_a_start_job_is_cancelled_when_the_owner_is_blocked(
    app: Flask, session: Session, redis_server: RedisServer
) -> None:
    start = utcnow() + timedelta(hours=1)
    mailing = due_mailing(UserFactory.create(), next_run_at=start)
    with app.app_context():
        schedule.reconcile(utcnow())
        scheduler = schedule.make_scheduler()
        assert f"mailing-{mailing.id}" in scheduler
        mailing.owner.blocked_at = utcnow()
        session.flush()

        assert schedule.find_start(mailing) is None
        schedule.reconcile(utcnow())

        assert f"mailing-{mailing.id}" not in scheduler
