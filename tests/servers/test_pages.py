"""Add, test, change and delete mail servers, without showing a password to anyone."""

import json
import logging
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.delivery.routing import routes
from skymailing.models import AuditAction, AuditEntry, BreakerState, Route, SmtpServer, User
from tests.auth.test_export import download_archive
from tests.conftest import SetLimits, SignIn
from tests.faults.sink import Sink, Stage, Turn
from tests.mailings.pages import get_field_error, get_main_text
from tests.servers.conftest import HOST, PASSWORD, MakeSender, MakeServer
from tests.support.factories import UserFactory

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
FIELDS = {
    "name": "Shop",
    "host": HOST,
    "access": "587-starttls",
    "username": "shop",
    "password": PASSWORD,
    "rate_per_minute": "30",
    "sessions": "2",
}


def add(browser: FlaskClient, **changes: str) -> TestResponse:
    return browser.post("/senders/servers/new", data=FIELDS | changes)


def read_server(session: Session) -> SmtpServer:
    return session.scalars(select(SmtpServer).execution_options(populate_existing=True)).one()


@pytest.mark.both_engines
def test_a_server_is_tested_by_a_worker_and_its_reply_is_shown(
    session: Session, user: User, browser: FlaskClient, sink: Sink, work: Work
) -> None:
    assert "No mail servers yet" in get_main_text(browser.get("/senders/servers/"))
    assert add(browser).status_code == 302
    server = read_server(session)
    assert "checking…" in get_main_text(browser.get("/senders/servers/"))
    assert sink.connections == 0, "the web process never connects to it"
    assert PASSWORD not in server.encrypted_password
    server.port = sink.port
    session.flush()
    work()
    listed = browser.get("/senders/servers/")
    assert "works" in get_main_text(listed)
    assert "The server’s reply: sink" in get_main_text(listed)
    assert sink.stage_counts[Stage.AUTH] == 1
    assert not any("AUTH" in line for line in sink.unencrypted), "the password is sent encrypted only"
    for page in (listed, browser.get(f"/senders/servers/{server.id}/edit")):
        assert PASSWORD not in page.text
    actions = session.scalars(select(AuditEntry.action)).all()
    assert AuditAction.SERVER_ADDED in actions


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("host", "10.0.0.1", "Enter a host name"),
        ("host", "localhost", "Enter a host name"),
        ("host", "2130706433", "Enter a host name"),
        ("host", "user@smtp.example.com", "Enter a host name"),
        ("host", "smtp.example.com:22", "Enter a host name"),
        ("access", "22-tls", "Not a valid choice"),
        ("username", "", "Enter the user name"),
        ("password", "", "Enter the password"),
        ("sessions", "21", "from 1 to 20"),
        ("rate_per_minute", "0", "from 1 to 100,000"),
    ],
)
def test_a_server_needs_a_public_name_a_mail_port_and_a_password(
    session: Session, browser: FlaskClient, field: str, value: str, text: str
) -> None:
    assert text in get_field_error(add(browser, **{field: value}), field)
    assert session.scalars(select(SmtpServer)).all() == []


def test_a_failed_test_shows_the_reply_but_never_the_password(
    session: Session, browser: FlaskClient, sink: Sink, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    def repeat_password(turn: Turn) -> None:
        if turn.stage is Stage.AUTH:
            turn.say(f"535 5.7.8 {PASSWORD} is wrong, as is AHNob3AAczNjcmV0LXdvcmQ=")

    sink.script = repeat_password
    caplog.set_level(logging.DEBUG)
    add(browser)
    read_server(session).port = sink.port
    session.flush()
    work()
    shown = get_main_text(browser.get("/senders/servers/"))
    assert "does not work" in shown
    assert "535 5.7.8 [secret] is wrong, as is [secret]" in shown
    assert PASSWORD not in caplog.text + read_server(session).test_answer


def test_the_password_must_be_entered_again_when_the_server_changes(
    session: Session, user: User, browser: FlaskClient, make_server: MakeServer
) -> None:
    server = make_server(user, 587)
    path, unchanged = f"/senders/servers/{server.id}/edit", FIELDS | {"password": ""}
    for change in ({"host": "smtp.evil.example"}, {"username": "other"}, {"access": "25-starttls"}):
        assert "enter the password again" in get_field_error(
            browser.post(path, data=unchanged | change), "password"
        )
    stored = server.encrypted_password
    assert browser.post(path, data=unchanged | {"name": "Our shop"}).status_code == 302
    server = read_server(session)
    assert (server.name, server.encrypted_password) == ("Our shop", stored)
    assert (server.has_passed, server.is_being_tested) == (True, False), "it is reached in the same way"
    browser.post(path, data=FIELDS | {"host": "smtp.other.example"})
    server = read_server(session)
    assert (server.has_passed, server.is_being_tested) == (False, True)
    assert server.encrypted_password != stored


def test_a_passed_test_closes_the_breaker(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    sink: Sink,
    make_server: MakeServer,
    work: Work,
) -> None:
    server = make_server(user, sink.port)
    with app.app_context():
        routes.report_fault(server.route, routes.Fault(535, "535 no"), utcnow())
    browser.post(f"/senders/servers/{server.id}/test")
    work()
    state = select(Route.state).where(Route.name == server.route)
    assert session.scalar(state) is BreakerState.CLOSED


def test_a_lost_request_for_a_test_is_found_by_the_sweep(
    app: Flask, session: Session, user: User, sink: Sink, make_server: MakeServer, work: Work
) -> None:
    server = make_server(user, sink.port, has_passed=False, tested_at=None, test_requested_at=utcnow())
    with app.app_context():
        jobs.sweep()
    work()
    session.refresh(server)
    assert (server.has_passed, server.is_being_tested) == (True, False)


def test_servers_and_tests_are_limited(
    session: Session, user: User, browser: FlaskClient, set_limits: SetLimits, make_server: MakeServer
) -> None:
    set_limits(servers=1)
    server = make_server(user, 587)
    assert "up to 1 mail servers" in get_main_text(add(browser))
    for _ in range(21):
        session.refresh(server)
        server.test_requested_at = None
        session.flush()
        browser.post(f"/senders/servers/{server.id}/test")
    assert "up to 20 times per hour" in browser.get("/senders/servers/").text
    session.refresh(server)
    assert not server.is_being_tested


def test_a_server_in_use_cannot_be_deleted(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    make_server: MakeServer,
    make_sender: MakeSender,
) -> None:
    server = make_server(user, 587)
    sender = make_sender(user, server)
    path = f"/senders/servers/{server.id}/delete"
    response = browser.post(path)
    assert response.status_code == 409
    assert "news@shop.example" in get_main_text(response)
    with app.app_context():
        routes.report_fault(server.route, routes.Fault(421, "421 no"), utcnow())
    browser.post(f"/senders/{sender.id}/edit", data={"address": sender.address, "server": "0"})
    assert browser.post(path).status_code == 302
    assert session.scalars(select(SmtpServer)).all() == []
    assert session.scalars(select(Route)).all() == [], "the server's replies are deleted with it"


def test_a_sender_chooses_among_own_and_common_servers(
    session: Session, user: User, browser: FlaskClient, make_server: MakeServer
) -> None:
    own, common = make_server(user, 587), make_server(None, 25, name="Common")
    foreign = make_server(UserFactory.create(), 587, name="Foreign")
    page = browser.get("/senders/new").text
    assert "Common" in page
    assert "Foreign" not in page
    fields = {"address": "news@shop.example", "name": ""}
    refused = browser.post("/senders/new", data=fields | {"server": str(foreign.id)})
    assert "Not a valid choice" in get_field_error(refused, "server")
    for server in (own, common):
        address = f"{server.id}@shop.example"
        assert (
            browser.post("/senders/new", data={"address": address, "server": str(server.id)}).status_code
            == 302
        )
    own.has_passed = False
    session.flush()
    refused = browser.post("/senders/new", data=fields | {"server": str(own.id)})
    assert "does not work yet" in get_field_error(refused, "server")


@pytest.mark.parametrize(
    ("host", "address", "is_accepted"),
    [
        ("smtp.gmail.com", "shop@gmail.com", True),
        ("smtp.yandex.ru", "shop@gmail.com", False),
        ("smtp.yandex.ru", "shop@ya.ru", True),
        (HOST, "shop@gmail.com", False),
        (HOST, "shop@shop.example", True),
    ],
)
def test_freemail_addresses_need_the_server_of_their_provider(
    browser: FlaskClient, user: User, make_server: MakeServer, host: str, address: str, is_accepted: bool
) -> None:
    server = make_server(user, 587, host=host)
    response = browser.post("/senders/new", data={"address": address, "server": str(server.id)})
    assert (response.status_code == 302) is is_accepted
    if not is_accepted:
        assert "Choose a mail server of gmail.com" in get_field_error(response, "address")


def test_other_users_and_managers_cannot_see_a_server(
    session: Session, user: User, sign_in: SignIn, make_server: MakeServer
) -> None:
    server = make_server(user, 587, test_answer="220 secret greeting")
    other = sign_in(UserFactory.create())
    assert "secret greeting" not in other.get("/senders/servers/").text
    for path in ("edit", "delete", "test"):
        assert other.post(f"/senders/servers/{server.id}/{path}").status_code == 404
    common = make_server(None, 25)
    assert other.get(f"/senders/servers/{common.id}/edit").status_code == 404, "only operators change it"


def test_servers_are_exported_without_passwords(
    user: User, browser: FlaskClient, make_server: MakeServer
) -> None:
    server = make_server(user, 587)
    archive = download_archive(browser)
    text = archive.read("mail-servers.json").decode()
    (exported,) = json.loads(text)
    assert (exported["host"], exported["username"]) == (HOST, "shop")
    assert "password" not in text
    assert server.encrypted_password not in text
