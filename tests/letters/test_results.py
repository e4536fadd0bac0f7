"""Test what follows from a letter: returned mail, limits, repeated requests, and decisions."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.models import Delivery, DeliveryState, Run, RunState, TransactionalLetter, User
from skymailing.monitoring.queries import count_waiting_unknowns
from tests.api.conftest import MakeProgram, Program
from tests.conftest import SetLimits, SignIn
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.letters.conftest import LETTER, VALUES, CloseDay, Send, leave_unknown
from tests.returns.scenes import Desk
from tests.support.factories import ClientFactory, UserFactory
from tests.support.letter_factories import create_letter
from tests.support.servers import SmtpServer

Work = Callable[[], None]


def test_a_bounce_is_attributed_to_the_letter_and_stops_further_ones(
    app: Flask, session: Session, user: User, send: Send, program: Program, smtp: SmtpServer, work: Work
) -> None:
    sent = send()
    work()
    delivery = session.get_one(Delivery, sent["id"])
    desk = Desk(app, session, user)
    desk.ingest(desk.bounce(delivery))
    assert desk.suppressions() == {"anna@example.org": "bounced"}
    (returned,) = program.read_all("/returned")
    assert (returned["delivery_id"], returned["email"]) == (sent["id"], "anna@example.org")
    run = program.read(f"/runs/{delivery.run_id}")
    assert (run["returned"], run["planned"]) == (1, 1)
    assert send()["state"] == "suppressed"


def test_a_limit_per_day_is_a_429(send: Send, set_limits: SetLimits, work: Work, smtp: SmtpServer) -> None:
    set_limits(letters_per_day=2)
    send()
    send()
    work()
    problem = send(429)
    assert problem["code"] == "letter_limit"
    assert len(smtp.letters) == 2


def test_a_repeated_request_sends_one_letter(
    program: Program, session: Session, smtp: SmtpServer, work: Work
) -> None:
    key = {"Idempotency-Key": "order-17"}
    first = program.post("/letters", LETTER | {"values": VALUES}, headers=key)
    again = program.post("/letters", LETTER | {"values": VALUES}, headers=key)
    assert again.data == first.data
    work()
    assert len(smtp.letters) == 1


def test_two_requests_with_the_same_key_at_once_send_one_letter(
    app: Flask, program: Program, session: Session, smtp: SmtpServer, work: Work
) -> None:
    barrier = threading.Barrier(2, timeout=30)

    def post(_number: int) -> int:
        barrier.wait()
        own = Program(app.test_client(), program.key)
        headers = {"Idempotency-Key": "order-18"}
        return own.post("/letters", LETTER | {"values": VALUES}, headers=headers).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(post, range(2)))
    assert statuses in ([201, 201], [201, 409])
    work()
    assert len(smtp.letters) == 1
    assert session.scalar(select(func.count()).select_from(TransactionalLetter)) == 1


@pytest.fixture
def unknown(app: Flask, session: Session, user: User, smtp: SmtpServer) -> Run:
    """Return the run of a letter whose worker was killed after the hand-over."""
    create_letter(user)
    return leave_unknown(app, session)


@pytest.mark.parametrize("is_day_over", [False, True])
def test_an_unknown_letter_is_sent_again_if_its_owner_wants(
    app: Flask,
    session: Session,
    browser: FlaskClient,
    smtp: SmtpServer,
    work: Work,
    unknown: Run,
    is_day_over: bool,
) -> None:
    with time_machine.travel(utcnow() + timedelta(days=int(is_day_over))):
        with app.app_context():
            jobs.run_sweep(utcnow())
        state = RunState.FINISHED if is_day_over else RunState.TRANSACTIONAL
        assert get_only_run(session).state is state
        assert "1 email is unclear" in browser.get("/letters/").text
        with app.app_context():
            assert count_waiting_unknowns() == 1  # which an alert watches
        assert "Send 1 email again" in browser.get("/letters/settle-unknowns").text
        browser.post("/letters/settle-unknowns", data={"decision": "resend"})
        work()
    assert [letter.to for letter in smtp.letters] == ["anna@example.org"]
    assert count_states(session, unknown) == {"sent": 1}
    assert "is unclear" not in browser.get("/letters/").text
    with time_machine.travel(utcnow() + timedelta(days=2)), app.app_context():
        jobs.run_sweep(utcnow())
    run = get_only_run(session)
    assert run.state is RunState.FINISHED
    check_ledger(session, run, smtp.letters)


def test_an_unknown_letter_is_left_if_its_owner_wants(
    session: Session, browser: FlaskClient, smtp: SmtpServer, work: Work, unknown: Run, close_day: CloseDay
) -> None:
    browser.post("/letters/settle-unknowns", data={"decision": "leave"})
    work()
    assert smtp.letters == []
    assert count_states(session, unknown) == {"unknown": 1}
    assert "is unclear" not in browser.get("/letters/").text
    assert browser.get("/letters/settle-unknowns").status_code == 302


def test_after_some_days_an_unknown_letter_can_only_be_left(browser: FlaskClient, unknown: Run) -> None:
    with time_machine.travel(utcnow() + timedelta(days=6)):
        page = browser.get("/letters/settle-unknowns").text
        assert "too late" in page
        assert "resend" not in page
        browser.post("/letters/settle-unknowns", data={"decision": "resend"})
        assert "is unclear" in browser.get("/letters/").text


def test_others_letters_are_not_decided(session: Session, sign_in: SignIn, unknown: Run) -> None:
    browser = sign_in(UserFactory.create())
    assert browser.post("/letters/settle-unknowns", data={}).status_code == 400
    assert "is unclear" not in browser.get("/letters/").text
    for decision in ("resend", "leave"):
        browser.post("/letters/settle-unknowns", data={"decision": decision})
    session.expire_all()
    delivery = session.scalars(select(Delivery)).one()
    assert (delivery.state, delivery.finished_at) == (DeliveryState.UNKNOWN, None)


def test_a_clients_page_lists_letters_to_the_address(
    user: User, send: Send, browser: FlaskClient, work: Work, smtp: SmtpServer
) -> None:
    anna = ClientFactory.create(owner=user, email="anna@example.org")
    bo = ClientFactory.create(owner=user, email="bo@example.org")
    send(to="Anna@Example.org")
    work()
    assert "Order 17" in browser.get(f"/clients/{anna.id}").text
    assert "Order 17" not in browser.get(f"/clients/{bo.id}").text


def test_programs_read_the_run_and_its_deliveries(
    program: Program, make_program: MakeProgram, send: Send, work: Work, smtp: SmtpServer
) -> None:
    sent = send()
    work()
    delivery = program.read(f"/deliveries/{sent['id']}")
    run = program.read(f"/runs/{delivery['run_id']}")
    assert (run["state"], run["planned"], run["counts"]["sent"]) == ("sending", 1, 1)
    assert [row["id"] for row in program.read_all(f"/runs/{run['id']}/deliveries")] == [sent["id"]]
    assert len(program.read_all(f"/runs/{run['id']}/attempts")) == 1
    assert program.get(f"/mailings/{run['mailing_id']}").status_code == 404
    assert make_program(UserFactory.create()).get(f"/runs/{run['id']}").status_code == 404


def test_the_page_of_a_letter_shows_what_arrived(
    user: User, send: Send, browser: FlaskClient, work: Work, smtp: SmtpServer
) -> None:
    anna = ClientFactory.create(owner=user, email="anna@example.org")
    sent = send(format="html", body="<p>Total: <b>{{ order.total }}</b></p>", name="Anna")
    work()
    page = browser.get(f"/letters/{sent['id']}").text
    assert "Order 17" in page
    assert f'href="/clients/{anna.id}"' in page
    frame = browser.get(f"/letters/{sent['id']}/html")
    assert "Total: <b>12,50 €</b>" in frame.text
    assert "<b>12,50 =E2=82=AC</b>" in smtp.letters[0].content.decode()
    assert "sandbox" in frame.headers["Content-Security-Policy"]
    plain = send(to="bo@example.org", body="Total: {{ order.total }}", format="text")
    assert browser.get(f"/letters/{plain['id']}/html").mimetype == "text/plain"
