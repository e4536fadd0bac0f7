"""Test that reports agree with the attempts, in every time zone and after all kinds of faults."""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from skymailing import clock
from skymailing.delivery.ledger.run_counts import get_interval_width
from skymailing.extensions import db
from skymailing.mailings import resending
from skymailing.models import Attempt, Client, Mailing, OnUnknown, Outcome, Run, RunInterval
from skymailing.reports import daily_rollup
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period, choose_period
from skymailing.reports.queries import Figures, Report, make_report
from tests.delivery.conftest import ServeFrom, Start, Work
from tests.delivery.ledger import check_ledger, get_only_run
from tests.delivery.scripted import Peer, scripted_server
from tests.support.factories import UserFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

# Zones with an ordinary day, an offset of 5:45, a day of 23.5 hours, and a day of 25 hours.
DAYS = {
    "UTC": date(2026, 5, 1),
    "Asia/Kathmandu": date(2026, 5, 1),
    "Australia/Lord_Howe": date(2026, 10, 4),
    "America/New_York": date(2026, 11, 1),
}
Counts = dict[str, int]


def hang_up_after_the_letter(peer: Peer) -> None:
    peer.greet()
    for reply in ("250 sender ok", "250 recipient ok", "354 go on"):
        peer.read()
        peer.send(reply)
    peer.read_body()


def recompute(session: Session, zone: ZoneInfo) -> dict[tuple[date, int], Counts]:
    """Return the counts for each mailing and each day in the zone, from the attempts alone."""
    counts: dict[tuple[date, int], Counts] = defaultdict(Counter)
    last: dict[int, Attempt] = {}
    for attempt in session.scalars(select(Attempt).order_by(Attempt.id)):
        counts[attempt.at.astimezone(zone).date(), attempt.mailing_id]["attempts"] += 1
        last[attempt.delivery_id] = attempt
    for attempt in last.values():
        if attempt.outcome is not Outcome.DEFERRED:
            day = attempt.at.astimezone(zone).date()
            counts[day, attempt.mailing_id][attempt.outcome.value] += 1
    return counts


def read_sent_times(session: Session) -> list[tuple[float, int]]:
    """Return when each letter was accepted (seconds since the start) and its interval's width, sorted."""
    rows = session.execute(
        select(Attempt.at, Run.started_at)
        .join(Run, Run.id == Attempt.run_id)
        .where(Attempt.outcome == Outcome.SENT)
    )
    return sorted(
        ((at - start).total_seconds(), get_interval_width(at, start)) for at, start in rows.tuples()
    )


def check_time(reported: int | None, percent: int, times: list[tuple[float, int]]) -> None:
    rank = -(-len(times) * percent // 100)
    seconds, width = times[rank - 1]
    assert reported is not None
    # Reports contain only the beginning of each interval, and a run's start only to the second.
    assert reported - 1 < seconds < reported + width + 1


def get_counts(figures: Figures) -> Counts:
    names = ("attempts", "sent", "failed", "unknown")
    return {name: figures.counts[name] for name in names if figures.counts[name]}


def create_report(app: Flask, scope: Scope, period: Period) -> Report:
    with app.app_context():
        report = make_report(scope, period)
        db.session.rollback()
        return report


def sum_by(raw: dict[tuple[date, int], Counts], index: int) -> dict[Any, Counts]:
    sums: dict[Any, Counter[str]] = defaultdict(Counter)
    for key, counts in raw.items():
        sums[key[index]].update(counts)
    return {key: dict(counts) for key, counts in sums.items()}


def refuse_some(smtp: SmtpServer, clients: list[Client]) -> None:
    for client in clients[:3]:
        smtp.data_replies[client.email] = "554 5.7.1 looks like spam"
    for client in clients[3:7]:
        smtp.data_replies[client.email] = "451 4.7.1 greylisted"
    smtp.rcpt_replies[clients[7].email] = "552 5.2.2 mailbox full"


@pytest.fixture
def mailed(
    app: Flask,
    session: Session,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    serve_from: ServeFrom,
    request: pytest.FixtureRequest,
) -> Scope:
    """Send two mailings around midnight, with refusals, delays, broken sessions and resent failures."""
    zone: str = request.param
    owner = UserFactory.create(timezone=zone)
    midnight = datetime.combine(DAYS[zone], datetime.min.time(), ZoneInfo(zone))
    clients = create_clients(owner, 24)
    refuse_some(smtp, clients)
    with time_machine.travel(midnight - timedelta(seconds=20)):
        mailing = due_mailing(owner)
        start(mailing)
    smtp.data_replies = {clients[3].email: "451 4.7.1 greylisted again"}
    with time_machine.travel(midnight + timedelta(minutes=2)):
        sweep()
    smtp.data_replies = {}
    with time_machine.travel(midnight + timedelta(hours=3)):
        sweep()
        with app.test_request_context():
            mailing_in_app = db.session.get_one(Mailing, mailing.id)
            assert resending.resend_failed(mailing_in_app, clock.utcnow()) == 4
            db.session.commit()
        sweep()
        assert len(smtp.letters) == 23, "all but the full mailbox"
        check_ledger(session, get_only_run(session), smtp.letters)
    with (
        time_machine.travel(midnight + timedelta(hours=25)),
        scripted_server(hang_up_after_the_letter) as port,
    ):
        serve_from(port)
        start(due_mailing(owner, on_unknown=OnUnknown.HOLD))
    return Scope(owner.id)


# Zones with an unusual day differ most, so only they run on both databases.
ZONES = [
    pytest.param("UTC", "UTC", marks=pytest.mark.one_engine),
    ("Asia/Kathmandu", "Asia/Kathmandu"),
    pytest.param("Australia/Lord_Howe", "Australia/Lord_Howe", marks=pytest.mark.one_engine),
    ("America/New_York", "America/New_York"),
]


@pytest.mark.parametrize(("mailed", "zone"), ZONES, indirect=["mailed"])
def test_a_report_agrees_with_the_attempts(app: Flask, session: Session, mailed: Scope, zone: str) -> None:
    clock_zone = ZoneInfo(zone)
    day = DAYS[zone]
    period = choose_period(day - timedelta(days=1), day + timedelta(days=1), clock_zone, clock.utcnow())
    report = create_report(app, mailed, period)
    raw = recompute(session, clock_zone)

    assert {key: get_counts(figures) for key, figures in report.days if get_counts(figures)} == sum_by(raw, 0)
    assert {id: get_counts(figures) for id, _name, figures in report.mailings} == sum_by(raw, 1)
    totals: Counter[str] = Counter()
    for counts in raw.values():
        totals.update(counts)
    assert get_counts(report.totals) == dict(totals)
    assert len(sum_by(raw, 0)) >= 2
    assert len(sum_by(raw, 1)) == 2
    check_parts(app, mailed, raw, clock_zone)
    assert totals["unknown"] >= 1
    assert totals["failed"] == 1, "the others were sent later"
    assert report.totals.counts["planned"] == 48
    letters = totals["sent"] + totals["failed"] + totals["unknown"]
    assert report.totals.attempts_per_letter == totals["attempts"] / letters

    times = read_sent_times(session)
    check_time(report.totals.median, 50, times)
    check_time(report.totals.p95, 95, times)
    replies = Counter(session.scalars(select(Attempt.answer).where(Attempt.outcome == Outcome.FAILED)).all())
    assert {reason.words: reason.attempts for reason in report.reasons} == dict(replies)

    scopes = [mailed, *(Scope(mailed.owner_id, mailing) for mailing in sum_by(raw, 1))]
    reports = [create_report(app, scope, period) for scope in scopes]
    with app.app_context():
        assert daily_rollup.roll_up_days(clock.utcnow()) >= 2
    fresh = select(func.count()).select_from(RunInterval).where(RunInterval.is_fresh)
    assert session.scalar(fresh) == 0, "the days are over"
    assert [create_report(app, scope, period) for scope in scopes] == reports
    assert reports[0] == report
    session.execute(text("UPDATE report_days SET planned = planned + 1"))
    assert create_report(app, mailed, period).totals.counts["planned"] > 48, "the report uses the stored sums"


def check_parts(app: Flask, mailed: Scope, raw: dict[tuple[date, int], Counts], zone: ZoneInfo) -> None:
    """Check that a report on one mailing or one day counts nothing else."""
    day = DAYS[zone.key]
    for mailing, counts in sum_by(raw, 1).items():
        both_days = choose_period(day - timedelta(days=1), day + timedelta(days=1), zone, clock.utcnow())
        assert get_counts(create_report(app, Scope(mailed.owner_id, mailing), both_days).totals) == counts
    for offset in (-1, 0, 1, 2):
        single_day = day + timedelta(days=offset)
        report = create_report(app, mailed, choose_period(single_day, single_day, zone, clock.utcnow()))
        assert get_counts(report.totals) == sum_by(raw, 0).get(single_day, {})
