"""Reports agree with the raw attempts, in every time zone and after all kinds of faults."""

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
from skymailing.delivery.ledger.statistics import interval_seconds
from skymailing.extensions import db
from skymailing.mailings import resending
from skymailing.models import Attempt, Client, Mailing, OnUnknown, Outcome, Run, RunInterval
from skymailing.reports import daily_rollup
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period, choose_period
from skymailing.reports.queries import Figures, Report, make_report
from tests.delivery.conftest import ServeFrom, Start, Work
from tests.delivery.ledger import check_ledger, only_run
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
    peer.body()


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


def seconds_of_sent(session: Session) -> list[tuple[float, int]]:
    """Return, in order, how long after the start each letter was accepted, and how wide its interval is."""
    rows = session.execute(
        select(Attempt.at, Run.started_at)
        .join(Run, Run.id == Attempt.run_id)
        .where(Attempt.outcome == Outcome.SENT)
    )
    return sorted(((at - start).total_seconds(), interval_seconds(at, start)) for at, start in rows.tuples())


def check_time(reported: int | None, percent: int, times: list[tuple[float, int]]) -> None:
    rank = -(-len(times) * percent // 100)
    seconds, width = times[rank - 1]
    assert reported is not None
    # Reports only know the beginning of an interval, and the start of a run only to the second.
    assert reported - 1 < seconds < reported + width + 1


def counts_of(figures: Figures) -> Counts:
    names = ("attempts", "sent", "failed", "unknown")
    return {name: figures.counts[name] for name in names if figures.counts[name]}


def report_of(app: Flask, scope: Scope, period: Period) -> Report:
    with app.app_context():
        report = make_report(scope, period)
        db.session.rollback()
        return report


def summed(raw: dict[tuple[date, int], Counts], place: int) -> dict[Any, Counts]:
    sums: dict[Any, Counter[str]] = defaultdict(Counter)
    for key, counts in raw.items():
        sums[key[place]].update(counts)
    return {key: dict(counts) for key, counts in sums.items()}


def refuse_some(smtp: SmtpServer, people: list[Client]) -> None:
    for client in people[:3]:
        smtp.data_replies[client.email] = "554 5.7.1 looks like spam"
    for client in people[3:7]:
        smtp.data_replies[client.email] = "451 4.7.1 greylisted"
    smtp.rcpt_replies[people[7].email] = "552 5.2.2 mailbox full"


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
    people = create_clients(owner, 24)
    refuse_some(smtp, people)
    with time_machine.travel(midnight - timedelta(seconds=20)):
        mailing = due_mailing(owner)
        start(mailing)
    smtp.data_replies = {people[3].email: "451 4.7.1 greylisted again"}
    with time_machine.travel(midnight + timedelta(minutes=2)):
        sweep()
    smtp.data_replies = {}
    with time_machine.travel(midnight + timedelta(hours=3)):
        sweep()
        with app.test_request_context():
            own = db.session.get_one(Mailing, mailing.id)
            assert resending.resend_failed(own, clock.utcnow()) == 4
            db.session.commit()
        sweep()
        assert len(smtp.letters) == 23, "all but the full mailbox"
        check_ledger(session, only_run(session), smtp.letters)
    with (
        time_machine.travel(midnight + timedelta(hours=25)),
        scripted_server(hang_up_after_the_letter) as port,
    ):
        serve_from(port)
        start(due_mailing(owner, on_unknown=OnUnknown.HOLD))
    return Scope(owner.id)


@pytest.mark.parametrize(("mailed", "zone"), [(zone, zone) for zone in DAYS], indirect=["mailed"])
def test_a_report_agrees_with_the_attempts(app: Flask, session: Session, mailed: Scope, zone: str) -> None:
    clock_zone = ZoneInfo(zone)
    day = DAYS[zone]
    period = choose_period(day - timedelta(days=1), day + timedelta(days=1), clock_zone, clock.utcnow())
    report = report_of(app, mailed, period)
    raw = recompute(session, clock_zone)

    assert {key: counts_of(figures) for key, figures in report.days if counts_of(figures)} == summed(raw, 0)
    assert {id: counts_of(figures) for id, _name, figures in report.mailings} == summed(raw, 1)
    whole: Counter[str] = Counter()
    for counts in raw.values():
        whole.update(counts)
    assert counts_of(report.totals) == dict(whole)
    assert len(summed(raw, 0)) >= 2
    assert whole["unknown"] >= 1
    assert whole["failed"] == 1, "the others were sent later"
    assert report.totals.counts["planned"] == 48
    letters = whole["sent"] + whole["failed"] + whole["unknown"]
    assert report.totals.attempts_per_letter == whole["attempts"] / letters

    times = seconds_of_sent(session)
    check_time(report.totals.median, 50, times)
    check_time(report.totals.p95, 95, times)
    replies = Counter(session.scalars(select(Attempt.answer).where(Attempt.outcome == Outcome.FAILED)).all())
    assert {reason.words: reason.attempts for reason in report.reasons} == dict(replies)

    scopes = [mailed, *(Scope(mailed.owner_id, mailing) for mailing in summed(raw, 1))]
    counted = [report_of(app, scope, period) for scope in scopes]
    with app.app_context():
        assert daily_rollup.roll_up_days(clock.utcnow()) >= 2
    fresh = select(func.count()).select_from(RunInterval).where(RunInterval.is_fresh)
    assert session.scalar(fresh) == 0, "the days are over"
    assert [report_of(app, scope, period) for scope in scopes] == counted
    assert counted[0] == report
    session.execute(text("UPDATE report_days SET planned = planned + 1"))
    assert report_of(app, mailed, period).totals.counts["planned"] > 48, "the report reads the sums"


@pytest.mark.parametrize("mailed", ["Asia/Kathmandu"], indirect=True)
def test_a_report_on_one_mailing_or_day_counts_only_that(app: Flask, session: Session, mailed: Scope) -> None:
    zone, day = ZoneInfo("Asia/Kathmandu"), DAYS["Asia/Kathmandu"]
    raw = recompute(session, zone)
    (first, second) = sorted({mailing for _day, mailing in raw})
    for mailing in (first, second):
        whole = choose_period(day - timedelta(days=1), day + timedelta(days=1), zone, clock.utcnow())
        report = report_of(app, Scope(mailed.owner_id, mailing), whole)
        assert counts_of(report.totals) == summed(raw, 1)[mailing]
    for moved in (-1, 0, 1, 2):
        one = day + timedelta(days=moved)
        report = report_of(app, mailed, choose_period(one, one, zone, clock.utcnow()))
        assert counts_of(report.totals) == summed(raw, 0).get(one, {})
