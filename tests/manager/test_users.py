"""Test users in the panel: the list, who can block whom, and what blocking does."""

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import AuditAction, AuditEntry, DeliveryState, Role, User
from tests.conftest import SignIn
from tests.support.factories import ClientFactory, MailingFactory, UserFactory, count_changes, create_run

# Who may do what is decided in Python.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def manager(session: Session) -> User:
    user: User = UserFactory.create(role=Role.MANAGER)
    return user


@pytest.fixture
def panel(sign_in: SignIn, manager: User) -> FlaskClient:
    """Return a browser in which a manager is signed in."""
    return sign_in(manager)


def block(panel: FlaskClient, *users: User, verb: str = "block", reason: str = "spam") -> int:
    ids = [user.id for user in users]
    return panel.post(f"/manager/users/{verb}", data={"id": ids, "reason": reason}).status_code


def read_audit_log(session: Session) -> list[AuditEntry]:
    session.expire_all()
    return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


@pytest.mark.both_engines
def test_the_list_shows_counts_but_no_secrets(panel: FlaskClient, user: User) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 3, DeliveryState.FAILED: 1})
    page = panel.get("/manager/users/", query_string={"q": user.email}).text
    assert user.email in page
    cells = [cell.split("</td>")[0] for cell in page.split('<td class="number with-label"')[1:]]
    assert [cell.split(">")[-1] for cell in cells] == ["4", "1", "3"]
    assert user.password_hash not in page
    assert run.mailing.name in panel.get(f"/manager/users/{user.id}/").text


def test_returned_letters_do_not_count_as_delivered(panel: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user)
    run = create_run(mailing, {DeliveryState.SENT: 5, DeliveryState.FAILED: 2})
    with count_changes(run) as changes:
        changes.add("returned", 1, utcnow())
    page = BeautifulSoup(panel.get("/manager/users/").text, "html.parser")
    row = next(row for row in page.select("tbody tr") if user.email in row.text)
    assert row.select_one("[data-label=Delivered]").text == "4"  # type: ignore[union-attr]
    assert row.select_one("[data-label=Address] .state").text == "user"  # type: ignore[union-attr]


def test_an_account_names_its_time_zone_like_other_pages(panel: FlaskClient) -> None:
    user = UserFactory.create(timezone="Europe/Moscow")
    assert "<dd>Moscow (UTC+3)</dd>" in panel.get(f"/manager/users/{user.id}/").text


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "АННА"}, {"anna"}),
        ({"q": "boris@"}, {"boris"}),
        ({"role": "content"}, {"boris"}),
        ({"blocked": "yes"}, {"anna"}),
        ({"confirmed": "no"}, {"clara"}),
        ({"blocked": "no", "confirmed": "yes", "role": "user"}, set()),
        ({"since": "2030-01-01"}, set()),
        ({"role": "emperor", "cursor": "bm8"}, {"anna", "boris", "clara"}),
    ],
)
def test_users_can_be_filtered(panel: FlaskClient, query: dict[str, str], expected: set[str]) -> None:
    UserFactory.create(email="anna@example.com", name="Анна", blocked_at=utcnow())
    UserFactory.create(email="boris@example.com", role=Role.CONTENT)
    UserFactory.create(email="clara@example.com", confirmed_at=None)
    page = panel.get("/manager/users/", query_string=query).text
    assert {name for name in ("anna", "boris", "clara") if f">{name}@example.com<" in page} == expected


def test_a_blocked_user_is_signed_out_immediately_and_sees_the_reason(
    session: Session, panel: FlaskClient, manager: User, sign_in: SignIn, user: User
) -> None:
    browser = sign_in(user)
    assert browser.get("/clients/").status_code == 200
    assert user.email in panel.get(f"/manager/users/block?id={user.id}").text
    assert browser.get("/clients/").status_code == 200, "the confirmation page changes nothing"

    assert block(panel, user, reason="Жалобы на спам") == 302
    assert browser.get("/clients/").status_code == 302
    response = browser.post("/auth/login", data={"email": user.email, "password": "correct horse battery"})
    assert "Жалобы на спам" in response.text
    (entry,) = read_audit_log(session)
    assert (entry.action, entry.target_id, entry.reason) == (
        AuditAction.USER_BLOCKED,
        user.id,
        "Жалобы на спам",
    )
    assert (entry.actor_id, entry.actor, entry.address) == (manager.id, manager.email, "127.0.0.1")

    assert block(panel, user, verb="unblock", reason="promised not to") == 302
    assert sign_in(user).get("/clients/").status_code == 200
    assert [entry.action for entry in read_audit_log(session)] == [
        AuditAction.USER_BLOCKED,
        AuditAction.USER_UNBLOCKED,
    ]


@pytest.mark.parametrize("reason", ["", "   \n", "x" * 501])
@pytest.mark.parametrize("verb", ["block", "unblock"])
def test_a_reason_is_required(
    session: Session, panel: FlaskClient, user: User, verb: str, reason: str
) -> None:
    if verb == "unblock":
        user.blocked_at = utcnow()
        session.flush()
    before = user.blocked_at
    assert block(panel, user, verb=verb, reason=reason) == 200
    session.refresh(user)
    assert user.blocked_at == before
    assert read_audit_log(session) == []


@pytest.mark.parametrize("actor_role", [Role.MANAGER, Role.ADMIN])
@pytest.mark.parametrize("target_role", [Role.MANAGER, Role.ADMIN, None])
def test_no_one_can_block_themselves_a_manager_or_an_administrator(
    session: Session, sign_in: SignIn, actor_role: Role, target_role: Role | None
) -> None:
    actor = UserFactory.create(role=actor_role)
    target = UserFactory.create(role=target_role) if target_role else actor
    browser = sign_in(actor)
    for verb in ("block", "unblock"):
        assert block(browser, target, verb=verb) == 403
    session.refresh(target)
    assert not target.is_blocked
    assert read_audit_log(session) == []


def test_a_bulk_action_lists_its_users_and_skips_protected_ones(session: Session, panel: FlaskClient) -> None:
    users = [UserFactory.create() for _ in range(3)]
    administrator = UserFactory.create(role=Role.ADMIN)
    page = panel.get(
        "/manager/users/block", query_string={"id": [user.id for user in [*users, administrator]]}
    ).text
    assert "Block 3 users?" in page
    assert administrator.email in page.split("managers or administrators")[1]

    assert block(panel, *users, administrator) == 302
    session.expire_all()
    assert all(user.is_blocked for user in users)
    assert not administrator.is_blocked
    assert [entry.target for entry in read_audit_log(session)] == [user.email for user in users]


def test_an_empty_or_unknown_selection_changes_nothing(panel: FlaskClient) -> None:
    assert panel.post("/manager/users/block", data={"reason": "x"}).status_code == 302
    for id in ("0", "-1", "99999999999999999999", "999999999", "²", "x"):
        assert panel.post("/manager/users/block", data={"id": id, "reason": "x"}).status_code in (302, 404)


def test_only_administrators_can_change_roles_but_not_their_own(
    session: Session, panel: FlaskClient, sign_in: SignIn, user: User
) -> None:
    administrator = UserFactory.create(role=Role.ADMIN)
    assert panel.post(f"/manager/users/{user.id}/role", data={"role": "admin"}).status_code == 403

    browser = sign_in(administrator)
    assert browser.post(f"/manager/users/{administrator.id}/role", data={"role": "user"}).status_code == 403
    data = {"role": "manager", "reason": "new job"}
    assert browser.post(f"/manager/users/{user.id}/role", data=data).status_code == 302
    assert browser.post(f"/manager/users/{user.id}/role", data={"role": "emperor"}).status_code == 200
    session.expire_all()
    assert (user.role, administrator.role) == (Role.MANAGER, Role.ADMIN)
    (entry,) = read_audit_log(session)
    assert (entry.action, entry.reason) == (AuditAction.ROLE_CHANGED, "user -> manager: new job")


def test_the_loss_of_a_role_takes_effect_on_the_next_request(app: Flask, sign_in: SignIn, user: User) -> None:
    administrator, other = UserFactory.create(role=Role.ADMIN), UserFactory.create(role=Role.ADMIN)
    browser = sign_in(other)
    assert browser.get("/manager/users/").status_code == 200
    sign_in(administrator).post(f"/manager/users/{other.id}/role", data={"role": "user"})
    assert browser.get("/manager/users/").status_code == 403
    assert block(browser, user) == 403


@pytest.mark.both_engines
def test_counting_stops_at_a_limit(panel: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skymailing.manager.queries.MAX_COUNT", 2)
    for _ in range(4):
        ClientFactory.create(owner=user)
    assert ">2+<" in panel.get("/manager/users/").text


@pytest.mark.parametrize(
    "path",
    ["users/block", "users/unblock", "users/{0}/role", "mailings/disable", "mailings/enable", "articles/new"],
)
def test_a_form_submitted_from_another_site_changes_nothing(
    app: Flask,
    session: Session,
    sign_in: SignIn,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    administrator = sign_in(UserFactory.create(role=Role.ADMIN))
    mailing = MailingFactory.create(owner=user)
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    ids = [user.id, mailing.id]
    data = {"id": ids, "reason": "x", "role": "admin", "title": "x", "body": "x", "format": "text"}
    assert administrator.post(f"/manager/{path.format(user.id)}", data=data).status_code == 400
    assert read_audit_log(session) == []
