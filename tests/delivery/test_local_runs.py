"""Test runs whose letters are sent at each client's local time."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import schedule
from skymailing.audit import current_actor
from skymailing.delivery import due, plan
from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.mailings.resending import resend_failed
from skymailing.mailings.scheduling import reschedule
from skymailing.models import Delivery, Mailing, MailingState, Periodicity, Run, RunState, User
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.worker import Worker
from tests.support.factories import ClientFactory, due_mailing
from tests.support.servers import SmtpServer

# 10:00 on the same Friday in three zones; Moscow's is the owner's.
MOSCOW = datetime(2026, 11, 20, 7, tzinfo=UTC)
TOKYO, NEW_YORK = MOSCOW - timedelta(hours=6), MOSCOW + timedelta(hours=8)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
SweepAt = Callable[[datetime], None]


@pytest.fixture
def sweep_at(sweep: Work) -> SweepAt:
    """Return a function that runs a sweep and its jobs at a given time."""

    def run(at: datetime) -> None:
        with time_machine.travel(at, tick=False):
            sweep()

    return run


@pytest.fixture
def create_mailing(user: User) -> Callable[..., Mailing]:
    """Return a function that creates a mailing that is sent at local time to clients in three zones."""
    user.timezone = "Europe/Moscow"
    for name, zone in (("moscow", ""), ("tokyo", "Asia/Tokyo"), ("new-york", "America/New_York")):
        ClientFactory.create(owner=user, email=f"{name}@example.com", timezone=zone)

    def make(start: datetime = MOSCOW, **values: Any) -> Mailing:
        period = {"starts_at": start, "next_run_at": start, "ends_at": start + timedelta(days=10)}
        return due_mailing(user, is_local_time=True, **period | values)

    return make


def list_recipients(smtp: SmtpServer) -> list[str]:
    """Return the local parts of the letters' addresses, in the order of arrival."""
    return [letter.to.partition("@")[0] for letter in smtp.letters]


def test_each_client_gets_the_letter_at_local_time(
    app: Flask,
    session: Session,
    user: User,
    sweep_at: SweepAt,
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    create_mailing()
    for before in (TOKYO - DAY, TOKYO - timedelta(hours=1), TOKYO - SECOND):
        sweep_at(before)
        assert session.scalar(select(Run)) is None, "there is no run before the first zone's time"
    expected: list[str] = []
    for name, at in (("tokyo", TOKYO), ("moscow", MOSCOW), ("new-york", NEW_YORK)):
        if expected:
            sweep_at(at - SECOND)
            assert list_recipients(smtp) == expected
            with app.app_context():
                assert due.find_runs(at - SECOND) == [], "workers do not poll between zones"
                assert [(wake.name, wake.at) for wake in schedule._list_zones(at - SECOND)] == [
                    (f"run-{get_only_run(session).id}", at)
                ]
        sweep_at(at)
        expected.append(name)
        assert list_recipients(smtp) == expected
    run = get_only_run(session)
    assert (run.state, run.scheduled_for, run.started_at) == (RunState.FINISHED, MOSCOW, TOKYO)
    check_ledger(session, run, smtp.letters)
    session.refresh(run.mailing)
    assert run.mailing.state is MailingState.FINISHED


def test_a_client_added_shortly_before_the_start_in_a_new_zone_gets_the_letter_on_time(
    session: Session, user: User, sweep_at: SweepAt, create_mailing: Callable[..., Mailing], smtp: SmtpServer
) -> None:
    create_mailing()
    auckland = MOSCOW - timedelta(hours=10)
    sweep_at(auckland - timedelta(minutes=20))
    ClientFactory.create(owner=user, email="auckland@example.com", timezone="Pacific/Auckland")
    sweep_at(auckland - timedelta(minutes=1))
    assert not smtp.letters
    sweep_at(auckland)
    assert list_recipients(smtp) == ["auckland"]


def test_moving_the_start_to_an_earlier_time_takes_effect_at_once(
    app: Flask, sweep_at: SweepAt, create_mailing: Callable[..., Mailing], smtp: SmtpServer
) -> None:
    mailing = create_mailing()
    now = TOKYO - timedelta(minutes=30)
    sweep_at(now)  # sets `zones_checked_until`, before which no zone is due
    with app.app_context():
        moved = db.session.get_one(Mailing, mailing.id)
        moved.starts_at = MOSCOW - timedelta(minutes=29)
        reschedule(moved, now, has_new_times=True)
        db.session.commit()
    sweep_at(now + timedelta(minutes=1))
    assert list_recipients(smtp) == ["tokyo"]


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("values", "at_start", "next_day"),
    [
        ({}, ["moscow", "tokyo"], ["new-york"]),
        ({"on_passed": "next_day"}, ["moscow"], ["new-york", "tokyo"]),
        (
            {"on_passed": "next_day", "ends_at": MOSCOW + timedelta(hours=10)},
            ["moscow", "tokyo"],
            ["new-york"],
        ),
    ],
    ids=["at once", "next day", "next day after the end"],
)
def test_a_zone_whose_hour_has_passed_gets_the_letter_at_once_or_the_next_day(
    session: Session,
    sweep_at: SweepAt,
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
    values: dict[str, Any],
    at_start: list[str],
    next_day: list[str],
) -> None:
    create_mailing(**values)
    sweep_at(MOSCOW)
    assert sorted(list_recipients(smtp)) == at_start
    for hours in range(1, 24):
        sweep_at(MOSCOW + timedelta(hours=hours))
    assert list_recipients(smtp)[len(at_start) :] == next_day
    check_ledger(session, get_only_run(session), smtp.letters)


@pytest.mark.one_engine
def test_a_daily_mailing_sends_one_letter_per_day_and_keeps_its_occurrences(
    session: Session, sweep_at: SweepAt, create_mailing: Callable[..., Mailing], smtp: SmtpServer
) -> None:
    create_mailing(periodicity=Periodicity.DAILY, ends_at=MOSCOW + timedelta(days=2, hours=12))
    for hours in range(-8, 72):
        sweep_at(MOSCOW + timedelta(hours=hours))
    assert list_recipients(smtp) == ["tokyo", "moscow", "new-york"] * 3
    runs = session.scalars(select(Run).order_by(Run.id)).all()
    assert [run.scheduled_for for run in runs] == [MOSCOW, MOSCOW + DAY, MOSCOW + 2 * DAY]
    assert [run.started_at for run in runs] == [TOKYO, TOKYO + DAY, TOKYO + 2 * DAY]


def test_letters_that_would_be_due_after_the_end_expire(
    session: Session, sweep_at: SweepAt, create_mailing: Callable[..., Mailing], smtp: SmtpServer
) -> None:
    create_mailing(ends_at=MOSCOW + timedelta(hours=1))
    for hours in (-6, 0, 2):
        sweep_at(MOSCOW + timedelta(hours=hours))
    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 2, "expired": 1}
    check_ledger(session, run, smtp.letters)


@pytest.mark.one_engine
def test_a_pause_and_a_restart_do_not_change_the_clients_times(
    app: Flask,
    session: Session,
    sweep_at: SweepAt,
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    mailing = create_mailing()
    sweep_at(TOKYO)
    with app.app_context(), time_machine.travel(TOKYO):
        paused = db.session.get_one(Mailing, mailing.id)
        services.pause_mailing(paused, TOKYO)
        db.session.commit()
    sweep_at(MOSCOW)
    assert list_recipients(smtp) == ["tokyo"]
    with app.app_context(), app.test_request_context(), time_machine.travel(MOSCOW):
        resumed = db.session.get_one(Mailing, mailing.id)
        services.resume_mailing(resumed, MOSCOW, current_actor())
        db.session.commit()
    sweep_at(MOSCOW + timedelta(hours=1))
    assert list_recipients(smtp) == ["tokyo", "moscow"]
    sweep_at(NEW_YORK)
    assert list_recipients(smtp) == ["tokyo", "moscow", "new-york"]


def test_a_failed_letter_is_sent_again(
    app: Flask,
    session: Session,
    sweep_at: SweepAt,
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    mailing = create_mailing()
    smtp.rcpt_replies["tokyo@example.com"] = "550 5.7.1 no"
    for at in (TOKYO, MOSCOW, NEW_YORK):
        sweep_at(at)
    assert get_only_run(session).state is RunState.FINISHED
    smtp.rcpt_replies.clear()
    with app.app_context(), time_machine.travel(NEW_YORK):
        assert resend_failed(db.session.get_one(Mailing, mailing.id), NEW_YORK) == 1
        db.session.commit()
    assert get_only_run(session).state is RunState.LOCAL
    sweep_at(NEW_YORK + timedelta(minutes=1))
    assert list_recipients(smtp) == ["moscow", "new-york", "tokyo"]
    check_ledger(session, get_only_run(session), smtp.letters)


def test_retries_and_late_letters_wait_for_the_clients_sending_hours(
    app: Flask,
    session: Session,
    sweep_at: SweepAt,
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    """Tokyo's retry comes after the hours there, and Moscow's letter is late because of an outage."""
    create_mailing(opens_at=time(10), closes_at=time(11))
    smtp.rcpt_replies["tokyo@example.com"] = "451 4.7.1 later"
    sweep_at(TOKYO + timedelta(minutes=58))
    smtp.rcpt_replies.clear()
    sweep_at(TOKYO + timedelta(hours=5))
    assert not smtp.letters
    sweep_at(MOSCOW + timedelta(hours=2))
    assert not smtp.letters
    with app.app_context():
        assert due.find_runs(MOSCOW + timedelta(hours=2)) == []
    expected: list[str] = []
    for name, at in (("new-york", NEW_YORK), ("tokyo", TOKYO + DAY), ("moscow", MOSCOW + DAY)):
        sweep_at(at - timedelta(minutes=1))
        assert list_recipients(smtp) == expected
        sweep_at(at)
        expected.append(name)
        assert list_recipients(smtp) == expected
    check_ledger(session, get_only_run(session), smtp.letters)


def test_workers_claim_only_letters_that_are_due(
    app: Flask, user: User, create_mailing: Callable[..., Mailing]
) -> None:
    mailing = create_mailing()
    with time_machine.travel(TOKYO, tick=False):
        with app.app_context():
            run_id = plan.start_due_run(mailing.id, TOKYO)
        assert run_id
        workers = [Worker(app, run_id), Worker(app, run_id)]
        for worker in workers:
            worker.claim()
        assert [len(worker.claimed) for worker in workers] == [1, 0]
        for worker in workers:
            worker.die()


@pytest.mark.parametrize("limit", [1, 100])
def test_limits_per_domain_do_not_send_letters_early(
    app: Flask,
    session: Session,
    sweep_at: SweepAt,
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
) -> None:
    monkeypatch.setitem(app.config, "MAIL_RATE_PER_DOMAIN", limit)
    create_mailing()
    for number, at in enumerate((TOKYO, MOSCOW, NEW_YORK), 1):
        sweep_at(at)
        assert len(smtp.letters) == number
    check_ledger(session, get_only_run(session), smtp.letters)


def test_letters_of_ordinary_runs_have_no_local_time(
    app: Flask, session: Session, sweep_at: SweepAt, user: User, smtp: SmtpServer
) -> None:
    ClientFactory.create(owner=user, timezone="America/New_York")
    due_mailing(user, starts_at=MOSCOW, next_run_at=MOSCOW, ends_at=MOSCOW + DAY)
    sweep_at(MOSCOW - DAY / 2)
    assert session.scalar(select(Run)) is None
    sweep_at(MOSCOW)
    assert len(smtp.letters) == 1
    assert session.scalars(select(Delivery.not_before)).all() == [None]
