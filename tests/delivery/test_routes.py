"""Breaker, second route, probes, and letters that a server keeps rejecting."""

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
from skymailing.delivery.routing.rejections import Rejections
from skymailing.delivery.routing.session_pool import Lane
from skymailing.delivery.smtp.session import Letter, Result, Stage, Verdict
from skymailing.models import Attempt, BreakerState, Mailing, MailingState, Route, User
from skymailing.settings.engine import EngineSettings
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.ledger import check_ledger, only_run, states
from tests.delivery.scripted import Peer, scripted_server
from tests.faults.sink import Sink, Turn
from tests.faults.sink import Stage as At
from tests.support.factories import create_clients, due_mailing
from tests.support.servers import SmtpServer

SESSIONS = 20  # of a worker, at most


@pytest.fixture
def route(app: Flask, session: Session) -> Callable[[], Route]:
    def read() -> Route:
        session.expire_all()
        return session.execute(select(Route).where(Route.name == routes.PRIMARY)).scalar_one()

    return read


@pytest.fixture
def due(session: Session, user: User) -> Mailing:
    return due_mailing(user)


def fault(app: Flask, code: int | None = 421, **values: object) -> None:
    with app.app_context():
        routes.report_fault(routes.PRIMARY, code, f"{code} no", utcnow(), **values)  # type: ignore[arg-type]


def admission(app: Flask, seconds: float = 0) -> routes.Admission:
    with app.app_context():
        return routes.admit(routes.PRIMARY, utcnow() + timedelta(seconds=seconds))


def test_five_faults_in_a_row_close_the_route(app: Flask, session: Session) -> None:
    for _ in range(4):
        fault(app)
        assert admission(app) is routes.Admission.FREE
    fault(app)
    assert admission(app) is routes.Admission.CLOSED
    assert admission(app, 45) is routes.Admission.CLOSED
    assert admission(app, 75) is routes.Admission.PROBE


def test_a_success_in_between_starts_the_count_anew(app: Flask, session: Session) -> None:
    for _ in range(4):
        fault(app)
    with app.app_context():
        routes.report_success(routes.PRIMARY)
    fault(app)

    assert admission(app) is routes.Admission.FREE


def test_letters_under_way_when_a_route_closes_do_not_open_it_again(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    """A server that refuses our credentials goes on with the sessions that it has."""
    fault(app, 535)
    with app.app_context():
        routes.report_success(routes.PRIMARY)
    assert (route().state, route().open_seconds) == (BreakerState.OPEN, 900)

    assert admission(app, 1100) is routes.Admission.PROBE
    with app.app_context():
        routes.report_success(routes.PRIMARY)
        assert route().state is BreakerState.PROBING
        routes.report_success(routes.PRIMARY, is_probe=True)
    assert route().state is BreakerState.CLOSED


def test_one_at_a_time_may_probe(app: Flask, session: Session) -> None:
    for _ in range(5):
        fault(app)

    assert admission(app, 80) is routes.Admission.PROBE
    assert admission(app, 81) is routes.Admission.CLOSED


def test_a_probe_without_a_letter_leaves_the_next_one_to_others(
    app: Flask, session: Session, user: User, due: Mailing, sweep: Work, smtp: SmtpServer
) -> None:
    (client,) = create_clients(user, 1)
    smtp.rcpt_replies[client.email] = "451 try again in 2 hours"
    sweep()
    assert states(session, only_run(session)) == {"deferred": 1}
    for _ in range(5):
        fault(app)

    with time_machine.travel(utcnow() + timedelta(seconds=80)), app.app_context():
        send.send_slice(only_run(session).id, lambda _seconds: False)

    assert admission(app, 81) is routes.Admission.PROBE


def test_the_pause_doubles_up_to_a_quarter_of_an_hour(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    for _ in range(5):
        fault(app)
    pauses = []
    now = utcnow()
    for _ in range(6):
        pauses.append(route().open_seconds)
        now += timedelta(hours=1)
        with time_machine.travel(now), app.app_context():
            assert routes.admit(routes.PRIMARY, utcnow()) is routes.Admission.PROBE
            routes.report_fault(routes.PRIMARY, 421, "421 still no", utcnow())
    assert pauses == [60, 120, 240, 480, 900, 900]


def test_refused_credentials_close_the_route_for_a_quarter_of_an_hour_at_once(
    app: Flask, session: Session, route: Callable[[], Route], caplog: pytest.LogCaptureFixture
) -> None:
    fault(app, 535)

    assert (route().state, route().open_seconds) == (BreakerState.OPEN, 900)
    assert any(record.levelname == "ERROR" for record in caplog.records)


def test_half_of_ten_attempts_within_a_minute_is_too_many() -> None:
    share = routes.FaultShare(EngineSettings())
    for _ in range(4):
        share.note(faults=1, others=1)
    assert not share.is_too_high(), "eight attempts tell little"
    share.note(faults=1, others=1)
    assert share.is_too_high()
    share.note(faults=0, others=5)
    assert not share.is_too_high()


def test_faults_of_a_minute_ago_do_not_count() -> None:
    clock = [1000.0]
    share = routes.FaultShare(EngineSettings(), lambda: clock[0])
    share.note(faults=10, others=0)
    assert share.is_too_high()
    clock[0] += 61
    assert not share.is_too_high()


def test_many_sessions_turned_away_at_once_close_the_route(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    """Half of ten attempts within a minute: each session's letter is one, whatever window it was in."""
    with app.app_context():
        lane = Lane(routes.PRIMARY, 20)
        assert not lane.judge(ended(Verdict.SENT, 10) + ended(Verdict.ROUTE_FAULT, 9, 421), is_probe=False)
        assert route().state is BreakerState.CLOSED
        assert not lane.judge(ended(Verdict.ROUTE_FAULT, 9, 421), is_probe=False)
    assert route().state is BreakerState.OPEN


def test_letters_taken_in_between_begin_the_faults_in_a_row_anew(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    with app.app_context():
        lane = Lane(routes.PRIMARY, 20)
        for _ in range(7):
            lane.judge(ended(Verdict.SENT, 50) + ended(Verdict.ROUTE_FAULT, 1, 454), is_probe=False)
    assert (route().state, route().faults_in_a_row) == (BreakerState.CLOSED, 1)


def test_a_second_route_takes_over_and_hands_back(
    session: Session,
    user: User,
    due: Mailing,
    serve_from: ServeFrom,
    sweep: Work,
    smtp: SmtpServer,
    route: Callable[[], Route],
) -> None:
    create_clients(user, 5)
    serve_from(9, second=smtp.port)  # nobody listens on port 9
    for _ in range(6):
        sweep()

    assert states(session, only_run(session)) == {"sent": 5}
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


def test_after_an_outage_one_letter_tries_and_the_rest_follows(
    app: Flask, session: Session, user: User, due: Mailing, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 30)
    for _ in range(5):
        fault(app)
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    assert len(smtp.letters) == 30
    check_ledger(session, only_run(session), smtp.letters)


def reject_each(peer: Peer) -> None:
    peer.greet()
    number = 0
    while True:
        peer.hear()
        peer.say("250 ok")
        peer.hear()
        peer.say("250 ok")
        peer.hear()
        peer.say("354 go")
        peer.body()
        number += 1
        peer.say(f"554 5.7.1 looks like spam (id {number})")


def test_ten_equal_rejections_in_a_row_pause_the_mailing(
    session: Session, user: User, due: Mailing, serve_from: ServeFrom, sweep: Work
) -> None:
    create_clients(user, 60)
    with scripted_server(reject_each) as port:
        serve_from(port)
        sweep()

    session.refresh(due)
    assert due.state is MailingState.PAUSED
    assert due.state_reason.startswith("rejected: 554 5.7.1 looks like spam")
    assert states(session, only_run(session)) == {"failed": 10, "pending": 50}


def test_a_window_of_hundreds_does_not_fail_for_ten_rejections(
    session: Session, user: User, due: Mailing, serve_from: ServeFrom, sweep: Work
) -> None:
    """In the middle of a run, when windows are large: no letter is begun after the tenth."""
    create_clients(user, 400)

    def reject_later(turn: Turn) -> None:
        if turn.stage is At.DOT and len(turn.sink.letters) >= 150:
            turn.say("554 5.7.1 looks like spam")

    with Sink(reject_later) as sink:
        serve_from(sink.port)
        sweep()

    session.refresh(due)
    assert due.state is MailingState.PAUSED
    counts = states(session, only_run(session))
    assert 10 <= counts["failed"] <= 10 + 2 * SESSIONS, "those in flight, and the envelopes behind them"
    assert counts["sent"] == len(sink.letters)
    assert counts["pending"] == 400 - counts["sent"] - counts["failed"]


def test_rejections_of_two_mailings_in_turn_are_counted_apart() -> None:
    letter = Letter(1, 1, "a@example.org", b"")
    refused = Result(letter, Verdict.FAILED, 554, "5.7.1 spam (id 17)", Stage.DOT)
    rejections = Rejections(3)

    assert [rejections.note(run, refused) for run in (1, 2, 1, 2, 1, 2)] == [False] * 4 + [True] * 2
    assert [rejections.note(1, refused) for _ in range(2)] == [False] * 2
    rejections.note(1, Result(letter, Verdict.SENT, 250, "ok", Stage.DOT))
    assert [rejections.note(1, refused) for _ in range(3)] == [False, False, True]


def ended(verdict: Verdict, count: int, code: int | None = 250) -> list[Result]:
    letter = Letter(1, 1, "a@example.org", b"")
    return [Result(letter, verdict, code)] * count


def test_sessions_grow_with_success_and_halve_at_a_fault() -> None:
    sessions = routes.Concurrency(20, letters_to_grow=10)
    targets = []
    for results in (
        ended(Verdict.SENT, 5),
        ended(Verdict.SENT, 50),
        ended(Verdict.FAILED, 9, 550),
        ended(Verdict.SENT, 500),
        ended(Verdict.SENT, 99) + ended(Verdict.ROUTE_FAULT, 1, 421),
        ended(Verdict.DEFERRED, 1, None),
        ended(Verdict.DEFERRED, 9, 451),
    ):
        sessions.learn(results)
        targets.append(sessions.target)
    assert targets == [2, 7, 7, 20, 10, 5, 5]
