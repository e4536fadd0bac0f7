"""Add, change, test and delete webhooks on their pages, and read the log of calls."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.encryption import WEBHOOK_ACCESS, decrypt
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    AuditEntry,
    CallState,
    DisabledReason,
    EndpointState,
    EventType,
    User,
    WebhookCall,
    WebhookEndpoint,
)
from skymailing.webhooks.services import TESTS_PER_HOUR, disable_faulty
from tests.conftest import SetLimits
from tests.mailings.pages import get_field_error, get_main_text, soup
from tests.support.servers import SmtpServer
from tests.webhooks.conftest import SECRET, Hooks, ListCalls, MakeEndpoint
from tests.webhooks.receiver import response_of

pytestmark = pytest.mark.one_engine

FIELDS: dict[str, Any] = {"url": "https://shop.example/hook", "events": ["run.finished", "bounce.received"]}


def read_endpoint(session: Session) -> WebhookEndpoint:
    return session.scalars(select(WebhookEndpoint).execution_options(populate_existing=True)).one()


def read_secret(page: TestResponse) -> str:
    (secret,) = re.findall(r"<code>(whsec_\S+)</code>", page.text)
    return str(secret)


def read_actions(session: Session) -> list[AuditAction]:
    return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.mark.both_engines
def test_the_secret_of_a_new_webhook_is_shown_once(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    assert "No webhooks yet" in get_main_text(browser.get("/webhooks/"))
    page = browser.post("/webhooks/new", data=FIELDS)
    endpoint = read_endpoint(session)
    secret = read_secret(page)
    assert page.headers["Cache-Control"] == "no-store"
    assert (endpoint.owner_id, endpoint.url) == (user.id, FIELDS["url"])
    assert endpoint.events == ["bounce.received", "run.finished"]
    assert secret not in endpoint.encrypted_secret
    with app.app_context():
        assert decrypt(endpoint.encrypted_secret, WEBHOOK_ACCESS) == secret
    for path in ("/webhooks/", f"/webhooks/{endpoint.id}", f"/webhooks/{endpoint.id}/edit"):
        assert "whsec_" not in browser.get(path).text
    assert "https://shop.example/hook" in get_main_text(browser.get("/webhooks/"))
    assert read_actions(session) == [AuditAction.WEBHOOK_ADDED]


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"url": ""}, "url", "Enter the address"),
        ({"url": "http://shop.example/"}, "url", "must begin with https://"),
        ({"url": "https://127.0.0.1/"}, "url", "with a host name"),
        ({"url": "https://shop.example:22/"}, "url", "443, or one from 1024"),
        ({"url": "https://a:b@shop.example/"}, "url", "user name or password"),
        ({"events": []}, "events", "Choose at least one event"),
    ],
)
def test_mistakes_are_shown_next_to_their_field(
    session: Session, browser: FlaskClient, changes: dict[str, Any], field: str, text: str
) -> None:
    page = browser.post("/webhooks/new", data=FIELDS | changes)

    assert text in get_field_error(page, field)
    assert session.scalars(select(WebhookEndpoint)).all() == []


def test_unknown_events_are_refused(session: Session, browser: FlaskClient) -> None:
    browser.post("/webhooks/new", data=FIELDS | {"events": ["webhook.test"]})
    browser.post("/webhooks/new", data=FIELDS | {"events": ["run.exploded"]})

    assert session.scalars(select(WebhookEndpoint)).all() == []


def test_the_number_of_webhooks_is_limited(
    session: Session, browser: FlaskClient, set_limits: SetLimits
) -> None:
    set_limits(webhooks=1)
    browser.post("/webhooks/new", data=FIELDS)

    page = browser.post("/webhooks/new", data=FIELDS)

    assert "up to 1 webhooks" in get_main_text(page)
    read_endpoint(session)


def test_a_change_of_the_address_ends_the_pause(
    session: Session, user: User, browser: FlaskClient, make_endpoint: MakeEndpoint
) -> None:
    until = utcnow() + timedelta(hours=1)
    endpoint = make_endpoint(user, 443, faults=5, faults_since=utcnow(), paused_until=until)

    browser.post(f"/webhooks/{endpoint.id}/edit", data=FIELDS | {"url": "https://shop.example/new"})

    changed = read_endpoint(session)
    assert (changed.url, changed.faults, changed.version) == ("https://shop.example/new", 0, 2)
    assert changed.paused_until is None


@pytest.mark.both_engines
def test_a_replaced_secret_signs_for_another_day(
    app: Flask, session: Session, user: User, browser: FlaskClient, make_endpoint: MakeEndpoint
) -> None:
    endpoint = make_endpoint(user)

    page = browser.post(f"/webhooks/{endpoint.id}/rotate")

    changed = read_endpoint(session)
    with app.app_context():
        assert decrypt(changed.encrypted_secret, WEBHOOK_ACCESS) == read_secret(page) != SECRET
        assert decrypt(changed.encrypted_old_secret, WEBHOOK_ACCESS) == SECRET
    assert changed.old_secret_until is not None
    assert timedelta(hours=23) < changed.old_secret_until - utcnow() < timedelta(hours=25)


@pytest.mark.both_engines
def test_a_test_and_a_repeated_call_are_in_the_log(
    hooks: Hooks, session: Session, browser: FlaskClient
) -> None:
    hooks.receiver.respond_with(response_of(418, "<b>no</b>"), response_of(200, "thanks"))
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port, EventType.RUN_FINISHED)
    path = f"/webhooks/{endpoint.id}"
    assert "No calls yet" in get_main_text(browser.get(path))
    browser.post(f"{path}/test")
    assert hooks.receiver.requests == [], "the web process never calls it"
    hooks.send_calls()
    page = browser.get(path)
    assert "webhook.test" in get_main_text(page)
    assert "418 <b>no</b>" in get_main_text(page)
    assert "does not accept calls" in get_main_text(page)

    call = session.scalars(select(WebhookCall)).one()
    browser.post(f"/webhooks/calls/{call.id}/again")
    hooks.send_calls()
    page = browser.get(path)
    assert "thanks" in get_main_text(page)
    assert hooks.receiver.ids[0] == hooks.receiver.ids[1]
    assert hooks.receiver.types == ["webhook.test"] * 2


def test_tests_are_limited(
    session: Session, user: User, browser: FlaskClient, make_endpoint: MakeEndpoint, list_calls: ListCalls
) -> None:
    endpoint = make_endpoint(user)
    for _ in range(TESTS_PER_HOUR):
        browser.post(f"/webhooks/{endpoint.id}/test")
    page = browser.post(f"/webhooks/{endpoint.id}/test", follow_redirects=True)

    assert "Try again later" in page.text
    assert len(list_calls()) == TESTS_PER_HOUR


@pytest.mark.both_engines
def test_a_webhook_that_is_off_gets_nothing_until_it_is_turned_on(
    hooks: Hooks, session: Session, browser: FlaskClient
) -> None:
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port)
    path = f"/webhooks/{endpoint.id}"
    hooks.emit(hooks.user, {"n": 1})
    browser.post(f"{path}/disable")
    hooks.emit(hooks.user, {"n": 2})
    hooks.send_calls()
    assert "You turned it off." in get_main_text(browser.get(path))
    assert "This webhook is off" in browser.post(f"{path}/test", follow_redirects=True).text
    assert hooks.receiver.requests == []

    browser.post(f"{path}/enable")
    hooks.send_calls()
    assert [request.event["data"]["n"] for request in hooks.receiver.requests] == [1]
    assert read_actions(session) == [AuditAction.WEBHOOK_DISABLED, AuditAction.WEBHOOK_ENABLED]


def test_a_webhook_is_deleted_with_its_log(hooks: Hooks, session: Session, browser: FlaskClient) -> None:
    endpoint = hooks.make_endpoint(hooks.user)
    hooks.emit(hooks.user, {"n": 1})
    path = f"/webhooks/{endpoint.id}/delete"
    assert "Delete this webhook?" in get_main_text(browser.get(path))
    assert len(hooks.list_calls()) == 1

    browser.post(path)

    assert hooks.list_calls() == []
    assert session.scalars(select(WebhookEndpoint)).all() == []


@pytest.mark.parametrize(
    ("reason", "locale", "sentence"),
    [
        (DisabledReason.GONE, "en", "the address responded that it no longer exists"),
        (DisabledReason.FAULTS, "en", "has not accepted a call for five days"),
        (DisabledReason.FAULTS, "ru", "он пять дней не принимал вызовы"),
    ],
)
def test_the_letter_says_why_a_webhook_is_off(
    app: Flask,
    session: Session,
    user: User,
    make_endpoint: MakeEndpoint,
    smtp: SmtpServer,
    work: Any,
    reason: DisabledReason,
    locale: str,
    sentence: str,
) -> None:
    user.locale = locale
    endpoint = make_endpoint(user)
    with app.app_context():
        from skymailing import queue

        disable_faulty(db.session.get_one(WebhookEndpoint, endpoint.id), reason)
        db.session.commit()
        queue.enqueue("send_outbox")
    work()

    (letter,) = smtp.letters
    assert sentence in " ".join(letter.text.split())
    assert f"http://sky.example/webhooks/{endpoint.id}" in letter.text
    assert read_endpoint(session).state is EndpointState.DISABLED


def test_the_log_has_pages(hooks: Hooks, browser: FlaskClient) -> None:
    endpoint = hooks.make_endpoint(hooks.user)
    hooks.emit(hooks.user, *({"n": n} for n in range(60)))
    assert {call.state for call in hooks.list_calls()} == {CallState.PENDING}

    page = browser.get(f"/webhooks/{endpoint.id}")

    assert len(soup(page).select("tbody tr")) == 50
    next_link = soup(page).select_one('a[rel="next"]')
    assert next_link is not None
    assert len(soup(browser.get(str(next_link["href"]))).select("tbody tr")) == 10
