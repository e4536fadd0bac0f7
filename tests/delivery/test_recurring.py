"""Test that recurring mailings run at each occurrence, and once for all missed ones."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.calendar.recurrence import Recurrence, find_occurrence
from skymailing.models import (
    MailingState,
    Periodicity,
    Run,
    User,
)
from tests.delivery.conftest import Start, Work
from tests.support.factories import ClientFactory, due_mailing
from tests.support.servers import SmtpServer

# Occurrences are computed in Python.
pytestmark = pytest.mark.one_engine


@pytest.mark.both_engines
def test_a_daily_mailing_runs_every_day_until_its_end(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    start_time = utcnow().replace(microsecond=0)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=start_time,
        next_run_at=start_time,
        ends_at=start_time + timedelta(days=2, hours=1),
    )
    start(mailing)
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, start_time + timedelta(days=1))

    for days in (1, 2, 3):
        with time_machine.travel(start_time + timedelta(days=days, seconds=1)):
            sweep()

    scheduled_times = session.scalars(select(Run.scheduled_for).order_by(Run.scheduled_for)).all()
    assert scheduled_times == [start_time + timedelta(days=days) for days in (0, 1, 2)]
    assert smtp.per_address() == {client.email: 3}
    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED


def test_one_run_makes_up_for_missed_days(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    start_time = utcnow().replace(microsecond=0)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=start_time,
        next_run_at=start_time,
        ends_at=start_time + timedelta(days=30),
    )

    with time_machine.travel(start_time + timedelta(days=5, hours=3)):
        sweep()
        sweep()

    assert smtp.per_address() == {client.email: 1}
    session.refresh(mailing)
    assert mailing.next_run_at == start_time + timedelta(days=6)


@pytest.mark.both_engines
def test_a_run_that_lasts_for_days_is_followed_by_one_run_for_all_missed_days(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    start_time = utcnow().replace(microsecond=0)
    period = {"starts_at": start_time, "next_run_at": start_time, "ends_at": start_time + timedelta(days=30)}
    mailing = due_mailing(user, periodicity=Periodicity.DAILY, **period)
    smtp.rcpt_replies[client.email] = "450 4.2.0 try again in 12 hours"
    start(mailing)
    for hours in (13, 25, 37, 49):
        with time_machine.travel(start_time + timedelta(hours=hours)):
            sweep()
        assert len(session.scalars(select(Run.id)).all()) == 1, f"after {hours} hours"
    smtp.rcpt_replies.clear()
    for _attempt in range(2):
        with time_machine.travel(start_time + timedelta(hours=62)):
            sweep()
    scheduled_times = session.scalars(select(Run.scheduled_for).order_by(Run.scheduled_for)).all()
    assert scheduled_times == [start_time, start_time + timedelta(days=2)], (
        "one run for both missed occurrences"
    )
    assert smtp.per_address() == {client.email: 2}
    session.refresh(mailing)
    assert mailing.next_run_at == start_time + timedelta(days=3)


@pytest.mark.parametrize("periodicity", [Periodicity.DAILY, Periodicity.WEEKLY, Periodicity.MONTHLY])
def test_fifty_missed_occurrences_lead_to_one_run(
    session: Session, user: User, sweep: Work, smtp: SmtpServer, periodicity: Periodicity
) -> None:
    client = ClientFactory.create(owner=user)
    start_time = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
    period = {
        "starts_at": start_time,
        "next_run_at": start_time,
        "ends_at": start_time + timedelta(days=4000),
    }
    mailing = due_mailing(user, periodicity=periodicity, **period)
    rule = Recurrence.of(mailing)
    missed = find_occurrence(start_time, rule, ZoneInfo("UTC"), 50)
    for _attempt in range(2):
        with time_machine.travel(missed + timedelta(hours=1)):
            sweep()
    assert session.scalars(select(Run.scheduled_for)).all() == [missed]
    assert smtp.per_address() == {client.email: 1}
    session.refresh(mailing)
    assert mailing.next_run_at == find_occurrence(start_time, rule, ZoneInfo("UTC"), 51)


def test_an_occurrence_missed_while_the_owner_was_blocked_runs_after_unblocking(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    start_time = utcnow().replace(microsecond=0)
    period = {"starts_at": start_time, "next_run_at": start_time, "ends_at": start_time + timedelta(days=30)}
    due_mailing(user, periodicity=Periodicity.DAILY, **period)
    user.blocked_at = start_time
    session.flush()
    with time_machine.travel(start_time + timedelta(days=1, hours=1)):
        sweep()
        assert not smtp.letters
        user.blocked_at = None
        session.flush()
        sweep()
    assert smtp.per_address() == {client.email: 1}
    assert session.scalars(select(Run.scheduled_for)).all() == [start_time + timedelta(days=1)]
