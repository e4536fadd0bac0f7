"""Test circuit breakers, probes, the second route, and the number of sessions."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import send
from skymailing.delivery.routing import routes
from skymailing.delivery.routing.concurrency import SessionLimits
from skymailing.delivery.routing.route_memory import RouteMemory
from skymailing.delivery.routing.session_pool import SessionPool
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.models import Attempt, BreakerState, Mailing, Route, User
from skymailing.settings.engine import EngineSettings
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.handover import make_results
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import create_clients, due_mailing
from tests.support.servers import SmtpServer

# The breaker's rules do not depend on the database.
pytestmark = pytest.mark.one_engine

OWNER = 1
FREE_CHOICE = routes.RouteChoice(routes.PRIMARY, routes.Admission.FREE, RouteMemory(), OWNER)


@pytest.fixture
def route(app: Flask, session: Session) -> Callable[[], Route]:
    def read_route() -> Route:
        session.expire_all()
        return session.execute(select(Route).where(Route.name == routes.PRIMARY)).scalar_one()

    return read_route


@pytest.fixture
def mailing(session: Session, user: User) -> Mailing:
    return due_mailing(user)


def report_fault(app: Flask, code: int | None = 421) -> None:
    with app.app_context():
        routes.report_fault(routes.PRIMARY, routes.Fault(code, f"{code} no"), utcnow())


def request_admission(app: Flask, seconds: float = 0) -> routes.Admission:
    with app.app_context():
        return routes.admit(routes.PRIMARY, utcnow() + timedelta(seconds=seconds), OWNER).admission


def test_five_faults_in_a_row_open_the_breaker(app: Flask, session: Session) -> None:
    for _ in range(4):
        report_fault(app)
        assert request_admission(app) is routes.Admission.FREE
    report_fault(app)
    assert request_admission(app) is routes.Admission.REFUSED
    assert request_admission(app, 45) is routes.Admission.REFUSED
    assert request_admission(app, 75) is routes.Admission.PROBE


def test_a_success_in_between_resets_the_count(app: Flask, session: Session) -> None:
    for _ in range(4):
        report_fault(app)
    with app.app_context():
        routes.report_success(routes.PRIMARY, utcnow())
    report_fault(app)

    assert request_admission(app) is routes.Admission.FREE


def test_letters_in_progress_when_the_breaker_opens_do_not_close_it(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    """A server that refuses our credentials may still serve sessions that are already open."""
    report_fault(app, 535)
    with app.app_context():
        routes.report_success(routes.PRIMARY, utcnow())
    assert (route().state, route().open_seconds) == (BreakerState.OPEN, 900)

    assert request_admission(app, 1100) is routes.Admission.PROBE
    with app.app_context():
        routes.report_success(routes.PRIMARY, utcnow())
        assert route().state is BreakerState.PROBING
        routes.report_success(routes.PRIMARY, utcnow(), OWNER)
    assert route().state is BreakerState.CLOSED


@pytest.mark.both_engines
def test_only_one_probe_is_sent_at_a_time(app: Flask, session: Session) -> None:
    for _ in range(5):
        report_fault(app)

    assert request_admission(app, 80) is routes.Admission.PROBE
    assert request_admission(app, 81) is routes.Admission.REFUSED


def test_a_probe_that_finds_no_letter_lets_another_worker_probe(
    app: Flask, session: Session, user: User, mailing: Mailing, sweep: Work, smtp: SmtpServer
) -> None:
    (client,) = create_clients(user, 1)
    smtp.rcpt_replies[client.email] = "451 try again in 2 hours"
    sweep()
    assert count_states(session, get_only_run(session)) == {"deferred": 1}
    for _ in range(5):
        report_fault(app)

    with time_machine.travel(utcnow() + timedelta(seconds=80)), app.app_context():
        send.send_slice(get_only_run(session).id, lambda _seconds: False)

    assert request_admission(app, 81) is routes.Admission.PROBE


def test_the_pause_doubles_up_to_15_minutes(app: Flask, session: Session, route: Callable[[], Route]) -> None:
    for _ in range(5):
        report_fault(app)
    pauses = []
    now = utcnow()
    for _ in range(6):
        pauses.append(route().open_seconds)
        now += timedelta(hours=1)
        with time_machine.travel(now), app.app_context():
            assert routes.admit(routes.PRIMARY, utcnow(), OWNER).admission is routes.Admission.PROBE
            routes.report_fault(routes.PRIMARY, routes.Fault(421, "421 still no"), utcnow())
    assert pauses == [60, 120, 240, 480, 900, 900]


def test_refused_credentials_immediately_open_the_breaker_for_15_minutes(
    app: Flask, session: Session, route: Callable[[], Route], caplog: pytest.LogCaptureFixture
) -> None:
    report_fault(app, 535)

    assert (route().state, route().open_seconds) == (BreakerState.OPEN, 900)
    assert any(record.levelname == "ERROR" for record in caplog.records)


def test_the_share_of_faults_is_too_high_at_half_of_ten_attempts() -> None:
    share = routes.FaultShare(EngineSettings())
    for _ in range(4):
        share.record(faults=1, others=1)
    assert not share.is_too_high(), "eight attempts are too few"
    share.record(faults=1, others=1)
    assert share.is_too_high()
    share.record(faults=0, others=5)
    assert not share.is_too_high()


def test_faults_older_than_a_minute_do_not_count() -> None:
    clock = [1000.0]
    share = routes.FaultShare(EngineSettings(), lambda: clock[0])
    share.record(faults=10, others=0)
    assert share.is_too_high()
    clock[0] += 61
    assert not share.is_too_high()


def test_many_simultaneous_refusals_open_the_breaker(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    """The share of faults within a minute counts, regardless of the windows."""
    faults = make_results(Verdict.ROUTE_FAULT, 9, 421)
    with app.app_context():
        pool = SessionPool(routes.PRIMARY, SessionLimits(20, 20), "worker")
        assert not pool.report_results(make_results(Verdict.SENT, 10) + faults, FREE_CHOICE)
        assert route().state is BreakerState.CLOSED
        assert not pool.report_results(faults, FREE_CHOICE)
    assert route().state is BreakerState.OPEN


def test_accepted_letters_reset_the_consecutive_faults(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    with app.app_context():
        pool = SessionPool(routes.PRIMARY, SessionLimits(20, 20), "worker")
        for _ in range(7):
            pool.report_results(
                make_results(Verdict.SENT, 50) + make_results(Verdict.ROUTE_FAULT, 1, 454), FREE_CHOICE
            )
    assert (route().state, route().faults_in_a_row) == (BreakerState.CLOSED, 1)


@pytest.mark.both_engines
def test_the_second_route_takes_over_until_the_first_one_recovers(
    session: Session,
    user: User,
    mailing: Mailing,
    serve_from: ServeFrom,
    sweep: Work,
    smtp: SmtpServer,
    route: Callable[[], Route],
) -> None:
    create_clients(user, 5)
    serve_from(9, second=smtp.port)  # a port without a server, and a working one
    for _ in range(6):
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 5}
    assert set(session.scalars(select(Attempt.route))) == {routes.FALLBACK}
    assert route().state is BreakerState.OPEN

    create_clients(user, 2)
    serve_from(smtp.port, second=9)
    due_mailing(user)
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    assert route().state is BreakerState.CLOSED
    assert set(session.scalars(select(Attempt.route))) == {routes.FALLBACK, routes.PRIMARY}
    assert len(smtp.letters) == 5 + 7


@pytest.mark.both_engines
def test_after_an_outage_a_probe_succeeds_and_the_rest_is_sent(
    app: Flask, session: Session, user: User, mailing: Mailing, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 30)
    for _ in range(5):
        report_fault(app)
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    assert len(smtp.letters) == 30
    check_ledger(session, get_only_run(session), smtp.letters)
