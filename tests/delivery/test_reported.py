"""Reports tell what the raw attempts say, in every zone, whatever the mail servers did."""

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
from skymailing.models import Attempt, Mailing, OnUnknown, Outcome, Run, RunInterval
from skymailing.reports import daily_rollup
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period, choose_period
from skymailing.reports.queries import Figures, Report, make_report
from tests.delivery.conftest import ServeFrom, Start, Work
from tests.delivery.ledger import check_ledger, only_run
from tests.delivery.scripted import Peer, scripted_server
from tests.support.factories import UserFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

# A day whose evening begins it, one of 23.5 hours, one of 24.5.
DAYS = {
    "UTC": date(2026, 5, 1),
    "Asia/Kathmandu": date(2026, 5, 1),
    "Australia/Lord_Howe": date(2026, 10, 4),
    "America/New_York": date(2026, 11, 1),
}
Told = dict[str, int]


def hang_up_after_the_letter(peer: Peer) -> None:
    peer.greet()
    for answer in ("250 sender ok", "250 recipient ok", "354 go on"):
        peer.hear()
        peer.say(answer)
    peer.body()


def recompute(session: Session, zone: ZoneInfo) -> dict[tuple[date, int], Told]:
    """Return what the attempts alone say of each mailing on each day of the zone."""
    told: dict[tuple[date, int], Told] = defaultdict(Counter)
    last: dict[int, Attempt] = {}
    for attempt in session.scalars(select(Attempt).order_by(Attempt.id)):
        told[attempt.at.astimezone(zone).date(), attempt.mailing_id]["attempts"] += 1
        last[attempt.delivery_id] = attempt
    for attempt in last.values():
        if attempt.outcome is not Outcome.DEFERRED:
            day = attempt.at.astimezone(zone).date()
            told[day, attempt.mailing_id][attempt.outcome.value] += 1
    return told


def seconds_of_sent(session: Session) -> list[tuple[float, int]]:
    """Return how long after the start each letter was accepted, and how wide its interval is; in order."""
    rows = session.execute(
        select(Attempt.at, Run.started_at)
        .join(Run, Run.id == Attempt.run_id)
        .where(Attempt.outcome == Outcome.SENT)
    )
    return sorted(((at - start).total_seconds(), interval_seconds(at, start)) for at, start in rows.tuples())


def check_time(told: int | None, percent: int, times: list[tuple[float, int]]) -> None:
    rank = -(-len(times) * percent // 100)
    seconds, width = times[rank - 1]
    assert told is not None
    # An interval tells when it began, and a run's start is told to the second.
    assert told - 1 < seconds < told + width + 1


def told_by(figures: Figures) -> Told:
    names = ("attempts", "sent", "failed", "unknown")
    return {name: figures.counts[name] for name in names if figures.counts[name]}


def report_of(app: Flask, scope: Scope, period: Period) -> Report:
    with app.app_context():
        report = make_report(scope, period)
        db.session.rollback()
        return report


def summed(told: dict[tuple[date, int], Told], place: int) -> dict[Any, Told]:
    sums: dict[Any, Counter[str]] = defaultdict(Counter)
    for key, counts in told.items():
        sums[key[place]].update(counts)
    return {key: dict(counts) for key, counts in sums.items()}


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
    """Two mailings around midnight: refusals, delays, broken sessions, failures that are sent again."""
    zone: str = request.param
    owner = UserFactory.create(timezone=zone)
    midnight = datetime.combine(DAYS[zone], datetime.min.time(), ZoneInfo(zone))
    people = create_clients(owner, 24)
    for client in people[:3]:
        smtp.data_replies[client.email] = "554 5.7.1 looks like spam"
    for client in people[3:7]:
        smtp.data_replies[client.email] = "451 4.7.1 greylisted"
    smtp.rcpt_replies[people[7].email] = "552 5.2.2 mailbox full"
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
def test_a_report_is_what_the_attempts_add_up_to(
    app: Flask, session: Session, mailed: Scope, zone: str
) -> None:
    clock_zone = ZoneInfo(zone)
    day = DAYS[zone]
    period = choose_period(day - timedelta(days=1), day + timedelta(days=1), clock_zone, clock.utcnow())
    report = report_of(app, mailed, period)
    raw = recompute(session, clock_zone)

    assert {key: told_by(figures) for key, figures in report.days if told_by(figures)} == summed(raw, 0)
    assert {id: told_by(figures) for id, _name, figures in report.mailings} == summed(raw, 1)
    whole: Counter[str] = Counter()
    for counts in raw.values():
        whole.update(counts)
    assert told_by(report.totals) == dict(whole)
    assert len(summed(raw, 0)) >= 2
    assert whole["unknown"] >= 1
    assert whole["failed"] == 1, "the others were sent later"
    assert report.totals.counts["planned"] == 48
    letters = whole["sent"] + whole["failed"] + whole["unknown"]
    assert report.totals.attempts_per_letter == whole["attempts"] / letters

    times = seconds_of_sent(session)
    check_time(report.totals.median, 50, times)
    check_time(report.totals.p95, 95, times)
    answers = Counter(session.scalars(select(Attempt.answer).where(Attempt.outcome == Outcome.FAILED)).all())
    assert {reason.words: reason.attempts for reason in report.reasons} == dict(answers)

    scopes = [mailed, *(Scope(mailed.owner_id, mailing) for mailing in summed(raw, 1))]
    counted = [report_of(app, scope, period) for scope in scopes]
    with app.app_context():
        assert daily_rollup.add_up(clock.utcnow()) >= 2
    fresh = select(func.count()).select_from(RunInterval).where(RunInterval.is_fresh)
    assert session.scalar(fresh) == 0, "the days are over"
    assert [report_of(app, scope, period) for scope in scopes] == counted
    assert counted[0] == report
    session.execute(text("UPDATE report_days SET planned = planned + 1"))
    assert report_of(app, mailed, period).totals.counts["planned"] > 48, "it is the sums that are read"


@pytest.mark.parametrize("mailed", ["Asia/Kathmandu"], indirect=True)
def test_one_mailings_report_and_neighbouring_days_tell_their_part_alone(
    app: Flask, session: Session, mailed: Scope
) -> None:
    zone, day = ZoneInfo("Asia/Kathmandu"), DAYS["Asia/Kathmandu"]
    raw = recompute(session, zone)
    (first, second) = sorted({mailing for _day, mailing in raw})
    for mailing in (first, second):
        whole = choose_period(day - timedelta(days=1), day + timedelta(days=1), zone, clock.utcnow())
        report = report_of(app, Scope(mailed.owner_id, mailing), whole)
        assert told_by(report.totals) == summed(raw, 1)[mailing]
    for moved in (-1, 0, 1, 2):
        one = day + timedelta(days=moved)
        report = report_of(app, mailed, choose_period(one, one, zone, clock.utcnow()))
        assert told_by(report.totals) == summed(raw, 0).get(one, {})
