"""Test mailings, runs and deliveries in the panel, where managers view all of them and disable mailings."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import (
    AuditAction,
    AuditEntry,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Message,
    MessageFormat,
    Outcome,
    Role,
    User,
)
from tests.conftest import SignIn
from tests.support.factories import (
    AttemptFactory,
    ClientFactory,
    MailingFactory,
    MessageFactory,
    UserFactory,
    create_run,
)

# Who may see what is decided in Python.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def panel(sign_in: SignIn, session: Session) -> FlaskClient:
    """Return a browser in which a manager is signed in."""
    return sign_in(UserFactory.create(role=Role.MANAGER))


def submit(panel: FlaskClient, verb: str, *mailings: Mailing, reason: str = "complaints") -> int:
    ids = [mailing.id for mailing in mailings]
    return panel.post(f"/manager/mailings/{verb}", data={"id": ids, "reason": reason}).status_code


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"Весна", "Лето"}),
        ({"q": "весна"}, {"Весна"}),
        ({"owner": "boris"}, {"Лето"}),
        ({"state": "paused"}, {"Лето"}),
        ({"disabled": "yes"}, {"Весна"}),
        ({"disabled": "no"}, {"Лето"}),
        ({"since": "2030-01-01"}, set()),
        ({"until": "2030-01-01", "state": "nonsense"}, {"Весна", "Лето"}),
    ],
)
def test_all_users_mailings_can_be_filtered(
    panel: FlaskClient, query: dict[str, str], expected: set[str]
) -> None:
    spring = MailingFactory.create(name="Весна")
    spring.disabled_at = spring.starts_at
    MailingFactory.create(
        name="Лето", owner=UserFactory.create(email="boris@example.com"), state=MailingState.PAUSED
    )
    page = panel.get("/manager/mailings/", query_string=query).text
    assert {name for name in ("Весна", "Лето") if f">{name}</a>" in page} == expected


def test_a_manager_can_follow_a_mailing_to_the_mail_servers_reply(
    session: Session, panel: FlaskClient
) -> None:
    mailing = MailingFactory.create(state=MailingState.RUNNING)
    run = create_run(mailing, {DeliveryState.SENT: 2, DeliveryState.FAILED: 1})
    failed = session.scalars(select(Delivery).where(Delivery.state == DeliveryState.FAILED)).one()
    AttemptFactory.create(
        delivery=failed, outcome=Outcome.FAILED, code=550, answer="5.1.1 <b>no one</b> here"
    )

    assert f"/manager/runs/{run.id}/" in panel.get(f"/manager/mailings/{mailing.id}/").text
    assert mailing.name in panel.get("/manager/runs/").text
    letters = panel.get(f"/manager/runs/{run.id}/", query_string={"state": "failed"}).text
    assert failed.email in letters
    assert letters.count("/manager/runs/deliveries/") == 1
    for page in (f"/manager/runs/deliveries/{failed.id}/", f"/manager/mailings/{mailing.id}/log"):
        assert "5.1.1 &lt;b&gt;no one&lt;/b&gt; here" in panel.get(page).text
    other = panel.get(f"/manager/mailings/{mailing.id}/log", query_string={"outcome": "sent"}).text
    assert "5.1.1" not in other


def test_the_letter_is_shown_without_scripts_or_external_images(session: Session, panel: FlaskClient) -> None:
    body = "Здравствуйте, {{ name }}! <script>x</script><img src='https://spy.example/1.gif'>"
    owner = UserFactory.create()
    message = MessageFactory.create(owner=owner, body=body, format=MessageFormat.HTML)
    mailing = MailingFactory.create(owner=owner, message=message)
    path = f"/manager/mailings/{mailing.id}/letter"
    assert path in panel.get(f"/manager/mailings/{mailing.id}/").text
    response = panel.get(path)
    assert "Здравствуйте, " in response.text
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; img-src data:;")
    assert response.headers["Cache-Control"] == "private, no-store"

    create_run(mailing, {DeliveryState.SENT: 1}, body="What was sent")
    mailing.message.body = "Changed later {{"
    session.flush()
    assert "What was sent" in panel.get(path).text
    other = MailingFactory.create(message=MessageFactory.create(body="{{ broken"))
    assert panel.get(f"/manager/mailings/{other.id}/letter").mimetype == "text/plain"


@pytest.mark.both_engines
def test_letters_are_sorted_by_state_and_paginated(session: Session, panel: FlaskClient) -> None:
    run = create_run(MailingFactory.create(), {DeliveryState.SENT: 40, DeliveryState.PENDING: 30})
    seen: list[str] = []
    path = f"/manager/runs/{run.id}/"
    while path:
        page = panel.get(path).text
        seen += [part.split("/")[0] for part in page.split("/manager/runs/deliveries/")[1:]]
        path = page.split('rel="next" href="')[1].split('"')[0] if 'rel="next"' in page else ""
    assert len(seen) == len(set(seen)) == 70
    forged = panel.get(f"/manager/runs/{run.id}/", query_string={"cursor": "W10"})
    assert forged.status_code == 200


def test_the_owner_sees_the_reason_and_cannot_enable_the_mailing(
    session: Session, panel: FlaskClient, browser: FlaskClient, user: User
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.PAUSED)
    assert mailing.name in panel.get(f"/manager/mailings/disable?id={mailing.id}").text
    session.refresh(mailing)
    assert not mailing.is_disabled, "the confirmation page changes nothing"

    assert submit(panel, "disable", mailing, reason="Жалобы") == 302
    assert "Жалобы" in browser.get(f"/mailings/{mailing.id}").text
    browser.post(f"/mailings/{mailing.id}/resume")
    browser.post("/manager/mailings/enable", data={"id": mailing.id, "reason": "mine"})
    session.refresh(mailing)
    assert mailing.is_disabled
    assert mailing.state is MailingState.PAUSED

    assert submit(panel, "enable", mailing, reason="sorted out") == 302
    session.refresh(mailing)
    assert not mailing.is_disabled
    entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.action, entry.target, entry.reason) for entry in entries] == [
        (AuditAction.MAILING_DISABLED, mailing.name, "Жалобы"),
        (AuditAction.MAILING_ENABLED, mailing.name, "sorted out"),
    ]


@pytest.mark.parametrize("verb", ["disable", "enable"])
@pytest.mark.parametrize("reason", ["", " "])
def test_a_reason_is_required(session: Session, panel: FlaskClient, verb: str, reason: str) -> None:
    mailing = MailingFactory.create()
    if verb == "enable":
        mailing.disabled_at = mailing.starts_at
        session.flush()
    before = mailing.disabled_at
    assert submit(panel, verb, mailing, reason=reason) == 200
    session.refresh(mailing)
    assert mailing.disabled_at == before


def test_a_bulk_action_lists_its_mailings(session: Session, panel: FlaskClient) -> None:
    mailings = [MailingFactory.create() for _ in range(2)]
    disabled = MailingFactory.create(disabled_reason="old")
    disabled.disabled_at = disabled.starts_at
    session.flush()
    query = {"id": [mailing.id for mailing in [*mailings, disabled]]}
    page = panel.get("/manager/mailings/disable", query_string=query).text
    assert "Disable 2 mailings?" in page
    assert disabled.name in page.split("already disabled")[1]

    assert submit(panel, "disable", *mailings, disabled) == 302
    session.expire_all()
    assert [mailing.disabled_reason for mailing in [*mailings, disabled]] == [
        "complaints",
        "complaints",
        "old",
    ]
    assert submit(panel, "disable", *mailings) == 200, "there is nothing left to disable"


def read_rows(session: Session) -> list[tuple[object, ...]]:
    session.expire_all()
    rows: list[tuple[object, ...]] = []
    for model in (User, Mailing, Message, Client, Delivery):
        columns = [column for column in model.__table__.columns if column.name != "last_login_at"]
        rows += [tuple(row) for row in session.execute(select(*columns).order_by(model.id))]
    return rows


FORGED_PATHS: list[Callable[[str, int], str]] = [
    lambda view, id: f"/manager/{view}/new/",
    lambda view, id: f"/manager/{view}/new/?url=/manager/",
    lambda view, id: f"/manager/{view}/{id}/edit",
    lambda view, id: f"/manager/{view}/{id}/delete",
    lambda view, id: f"/manager/{view}/edit/?id={id}",
    lambda view, id: f"/manager/{view}/delete/",
    lambda view, id: f"/manager/{view}/action/",
    lambda view, id: f"/manager/{view}/ajax/update/",
    lambda view, id: f"/manager/{view}/export/csv/",
    lambda view, id: f"/manager/{view}/{id}/",
    lambda view, id: f"/manager/{view}/",
]


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ADMIN, Role.CONTENT])
@pytest.mark.parametrize(
    "view", ["mailings", "runs", "runs/deliveries", "users", "audit", "messages", "clients"]
)
def test_forged_requests_cannot_create_edit_or_delete_anything(
    session: Session, sign_in: SignIn, view: str, role: Role
) -> None:
    mailing = MailingFactory.create()
    create_run(mailing, {DeliveryState.SENT: 1})
    ClientFactory.create(owner=mailing.owner)
    browser = sign_in(UserFactory.create(role=role))
    before = read_rows(session)
    data = {
        "id": "1",
        "rowid": "1",
        "action": "delete",
        "name": "x",
        "email": "x@example.com",
        "state": "sent",
    }
    for make_path in FORGED_PATHS:
        for id in {1, mailing.id, mailing.owner_id}:
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                response = browser.open(make_path(view, id), method=method, data=data)
                assert response.status_code in (403, 404, 405), f"{method} {make_path(view, id)}"
    assert read_rows(session) == before


def test_a_manager_cannot_open_the_owners_pages(session: Session, panel: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user)
    for path in (
        f"/mailings/{mailing.id}",
        f"/messages/{mailing.message_id}",
        f"/mailings/{mailing.id}/edit",
    ):
        assert panel.get(path).status_code == 404


def test_no_panel_page_shows_a_secret(app: Flask, session: Session, sign_in: SignIn) -> None:
    mailing = MailingFactory.create()
    run = create_run(mailing, {DeliveryState.SENT: 1})
    delivery = session.scalars(select(Delivery)).first()
    assert delivery is not None
    browser = sign_in(UserFactory.create(role=Role.ADMIN))
    owner = mailing.owner_id
    app.config["MAIL_PASSWORD"] = "the-smtp-password"
    try:
        for path in (
            "",
            "mailings/",
            f"mailings/{mailing.id}/",
            f"mailings/{mailing.id}/log",
            f"mailings/disable?id={mailing.id}",
            "runs/",
            f"runs/{run.id}/",
            f"runs/deliveries/{delivery.id}/",
            "users/",
            f"users/{owner}/",
            f"users/{owner}/role",
            f"users/block?id={owner}",
            "audit/",
            "articles/",
        ):
            page = browser.get(f"/manager/{path}")
            assert page.status_code == 200, path
            for secret in ("$argon2", "the-smtp-password", app.config["SECRET_KEY"], "session_epoch"):
                assert secret not in page.text, path
            assert "style=" not in page.text
            assert "onclick" not in page.text
            assert "bootstrap4" not in page.text
    finally:
        app.config["MAIL_PASSWORD"] = None


def test_flask_admins_own_files_are_not_served(panel: FlaskClient) -> None:
    for path in ("/manager/static/admin/css/bootstrap4/admin.css", "/static/admin/admin/js/helpers.js"):
        assert panel.get(path).status_code == 404
