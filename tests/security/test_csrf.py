"""Test that on every route GET changes nothing and a form without a CSRF token is rejected."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from skymailing.extensions import db
from skymailing.models import Suppression, SuppressionReason, User
from skymailing.tokens import unsubscribe_token
from tests.conftest import SignIn
from tests.security.conftest import MakeApp, World, csrf_token, sign_in_with_token
from tests.support.databases import read_version
from tests.support.factories import PASSWORD, ClientFactory

pytestmark = pytest.mark.one_engine

# Mail programs send the first of these requests themselves (RFC 8058). The signed link in a letter authorizes
# it and the requests of the linked pages. Mail providers post to `hooks.receive`, with a secret in its URL.
# Visitors post sign-up forms from any website.
WITHOUT_TOKEN = {
    *("unsubscribe.page", "unsubscribe.undo", "unsubscribe.give_reason", "preferences.page"),
    *("hooks.receive", "signup.show", "signup.confirm"),
}
# Exports are recorded in the audit log.
WRITES_AUDIT = {
    "account.export",
    "clients.export",
    "clients.suppressions_export",
    "mailings.log_csv",
    "mailings.breakdown_csv",
    "logs.csv",
    "returns.csv",
    "reports.csv",
}
SAFE = {"GET", "HEAD", "OPTIONS"}


def read_tables(session: Session, *, audit: bool = True) -> dict[str, list[str]]:
    """Return every row of every table as text."""
    session.expire_all()
    return {
        table.name: sorted(map(repr, session.execute(text(f'SELECT * FROM "{table.name}"'))))
        for table in db.metadata.sorted_tables
        if audit or table.name != "audit_entries"
    }


def test_every_route_rejects_a_form_without_a_token(guarded: Flask, world: World, session: Session) -> None:
    browser = guarded.test_client()
    sign_in_with_token(browser, world.owner)
    before = read_tables(session)
    request_count = 0
    for endpoint, method, path in world.requests(guarded):
        if method in SAFE or endpoint in WITHOUT_TOKEN:
            continue
        form = {"id": world.arguments["user_id"], "reason": "x", "confirmed": "1", "language": "ru"}
        for data in (form, form | {"csrf_token": "forged"}):
            response = browser.open(path, method=method, data=data)
            assert response.status_code == 400, f"{method} {path}"
        request_count += 1
    assert request_count > 45
    assert read_tables(session) == before
    assert browser.get("/auth/profile").status_code == 200


def test_a_token_from_another_session_is_rejected(guarded: Flask, user: User, world: World) -> None:
    attacker, victim = guarded.test_client(), guarded.test_client()
    sign_in_with_token(attacker, user)
    sign_in_with_token(victim, world.owner)
    stolen = csrf_token(attacker.get("/auth/profile").text)
    assert victim.post("/auth/logout", data={"csrf_token": stolen}).status_code == 400
    own_token = csrf_token(victim.get("/auth/profile").text)
    assert victim.post("/auth/logout", data={"csrf_token": own_token}).status_code == 302


def test_a_token_from_before_the_sign_in_is_rejected_afterwards(guarded: Flask, user: User) -> None:
    browser = guarded.test_client()
    old_token = csrf_token(browser.get("/auth/login").text)
    data = {"email": user.email, "password": PASSWORD, "csrf_token": old_token}
    assert browser.post("/auth/login", data=data).status_code == 302
    assert browser.post("/auth/logout", data={"csrf_token": old_token}).status_code == 400


@pytest.mark.parametrize("referrer", ["https://evil.example/", "", "https://localhost.evil.example/"])
def test_over_https_a_form_from_another_site_is_rejected_even_with_a_token(
    guarded: Flask, user: User, referrer: str
) -> None:
    browser = guarded.test_client()
    token = csrf_token(browser.get("/auth/login", base_url="https://localhost").text)
    data = {"email": user.email, "password": PASSWORD, "csrf_token": token}
    response = browser.post(
        "/auth/login", data=data, base_url="https://localhost", headers={"Referer": referrer}
    )
    assert response.status_code == 400
    own_referrer = {"Referer": "https://localhost/auth/login"}
    response = browser.post("/auth/login", data=data, base_url="https://localhost", headers=own_referrer)
    assert response.status_code == 302


def test_get_requests_change_nothing(app: Flask, world: World, session: Session, sign_in: SignIn) -> None:
    browser = sign_in(world.owner)
    client = ClientFactory.create(owner=world.owner)
    with app.app_context():
        token = unsubscribe_token(world.owner.id, client.email_key)
    paths = [(endpoint, path) for endpoint, method, path in world.requests(app) if method == "GET"]
    paths.append(("unsubscribe.page", f"/u/{token}"))
    before = read_tables(session)
    without_audit = read_tables(session, audit=False)
    version = read_version(session)
    for endpoint, path in paths:
        for method in ("GET", "HEAD"):
            response = browser.open(path, method=method, buffered=True)
            assert response.status_code < 500, f"{method} {path}"
        if read_version(session) == version and endpoint not in WRITES_AUDIT:
            continue  # nothing was written
        version = read_version(session)
        if endpoint in WRITES_AUDIT:
            assert read_tables(session, audit=False) == without_audit, path
            before = read_tables(session)
        else:
            assert read_tables(session) == before, path
    assert len(paths) > 60
    assert browser.get("/auth/profile").status_code == 200


def test_undeclared_methods_are_rejected(app: Flask, world: World, session: Session, sign_in: SignIn) -> None:
    browser = sign_in(world.owner)
    before = read_tables(session)
    allowed: dict[str, set[str]] = {}
    for _, method, path in world.requests(app):
        allowed.setdefault(path, set()).add(method)
    for path, methods in allowed.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
            response = browser.open(path, method=method, headers={"X-HTTP-Method-Override": "POST"})
            # 410: a page that expects a token rejects the malformed token in this path.
            assert response.status_code in (405, 410), f"{method} {path}"
    assert read_tables(session) == before


def test_only_one_click_unsubscribe_needs_no_token(
    make_app: MakeApp, guarded: Flask, user: User, session: Session, visitor: FlaskClient
) -> None:
    client = ClientFactory.create(owner=user)
    with guarded.app_context():
        token = unsubscribe_token(user.id, client.email_key)
    response = guarded.test_client().post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert response.status_code == 200
    (suppression,) = session.scalars(select(Suppression))
    assert (suppression.owner_id, suppression.email_key) == (user.id, client.email_key)
    assert suppression.reason is SuppressionReason.UNSUBSCRIBED
