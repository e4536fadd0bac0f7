"""Test that actions are recorded in the audit log and that its entries cannot be changed."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.auth import services
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import AppendOnly, AuditAction, AuditEntry, AuditKind, MailingState, Role, Tag, User
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory


def read_entries(session: Session) -> list[tuple[AuditAction, AuditKind, str, str]]:
    session.expire_all()
    entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    return [(entry.action, entry.kind, entry.target, entry.reason) for entry in entries]


def get_last_entry(session: Session) -> AuditEntry:
    session.expire_all()
    return session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()


REPLACE = (
    "INSERT {} INTO audit_entries (id, at, actor, address, action, kind, target, reason) "
    "SELECT id, at, actor, address, action, kind, target, 'never mind' FROM audit_entries WHERE id = :id {}"
)


@pytest.fixture
def entry(session: Session) -> AuditEntry:
    entry = AuditEntry(
        actor_id=1, actor="a@example.com", action=AuditAction.USER_BLOCKED, kind=AuditKind.USER
    )
    session.add(entry)
    session.flush()
    return entry


def test_entries_cannot_be_changed_or_deleted(app: Flask, entry: AuditEntry) -> None:
    with app.app_context():
        reloaded = db.session.get_one(AuditEntry, entry.id)
        reloaded.reason = "never mind"
        with pytest.raises(AppendOnly):
            db.session.commit()
        db.session.rollback()
        db.session.delete(db.session.get_one(AuditEntry, entry.id))
        with pytest.raises(AppendOnly):
            db.session.commit()
        db.session.rollback()
        for statement in (update(AuditEntry).values(reason="x"), delete(AuditEntry)):
            with pytest.raises(AppendOnly):
                db.session.execute(statement)
        db.session.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET reason = 'never mind'",
        "DELETE FROM audit_entries",
        "DELETE FROM audit_entries WHERE id = :id",
        # Each database has its own way to bypass an UPDATE trigger.
        {"sqlite": REPLACE.format("OR REPLACE", ""), "postgresql": "TRUNCATE audit_entries"},
        {"postgresql": REPLACE.format("", "ON CONFLICT (id) DO UPDATE SET reason = 'never mind'")},
    ],
    ids=["update", "delete", "delete-one", "bypass", "upsert"],
)
def test_the_database_rejects_changes_to_entries(
    session: Session, entry: AuditEntry, statement: str | dict[str, str]
) -> None:
    if isinstance(statement, dict):
        statement = statement.get(session.get_bind().dialect.name, "DELETE FROM audit_entries")
    with pytest.raises(DBAPIError, match="only ever added to"):
        session.execute(text(statement), {"id": entry.id} if ":id" in statement else {})
    session.rollback()
    assert get_last_entry(session).action is AuditAction.USER_BLOCKED


def test_deleted_and_exported_clients_are_recorded(
    session: Session, browser: FlaskClient, user: User
) -> None:
    first, second, third = (ClientFactory.create(owner=user) for _ in range(3))
    addresses = [client.email for client in (first, second, third)]
    ClientFactory.create()
    browser.post(f"/clients/{first.id}/delete")
    browser.post("/clients/bulk", data={"action": "delete", "ids": [second.id, third.id], "confirmed": "1"})
    assert browser.get("/clients/export").status_code == 200

    assert read_entries(session) == [
        *((AuditAction.CLIENT_DELETED, AuditKind.CLIENT, address, "") for address in addresses),
        (AuditAction.CLIENTS_EXPORTED, AuditKind.USER, user.email, ""),
    ]
    entry = get_last_entry(session)
    assert (entry.actor_id, entry.actor, entry.address) == (user.id, user.email, "127.0.0.1")


@pytest.mark.one_engine
def test_actions_on_many_clients_and_tag_changes_are_recorded(
    session: Session, browser: FlaskClient, user: User
) -> None:
    for _ in range(3):
        ClientFactory.create(owner=user)
    for action in ("tag", "tag", "suppress", "allow", "untag", "tag"):
        browser.post("/clients/bulk", data={"action": action, "all_matching": "1", "value": "vip"})
    vip = session.scalars(select(Tag.id)).one()
    browser.post(f"/clients/tags/{vip}/edit", data={"name": "loyal"})
    browser.post("/clients/bulk", data={"action": "tag", "all_matching": "1", "value": "new"})
    new = session.scalars(select(Tag.id).where(Tag.name == "new")).one()
    browser.post(f"/clients/tags/{vip}/merge", data={"into": new})
    browser.post(f"/clients/tags/{new}/delete")
    assert [entry[:3] for entry in read_entries(session)] == [
        (AuditAction.CLIENTS_TAGGED, AuditKind.TAG, "vip"),  # only once: the second time changed no client
        (AuditAction.CLIENTS_SUPPRESSED, AuditKind.USER, user.email),
        (AuditAction.CLIENTS_ALLOWED, AuditKind.USER, user.email),
        (AuditAction.CLIENTS_UNTAGGED, AuditKind.TAG, "vip"),
        (AuditAction.CLIENTS_TAGGED, AuditKind.TAG, "vip"),
        (AuditAction.TAG_RENAMED, AuditKind.TAG, "vip → loyal"),
        (AuditAction.CLIENTS_TAGGED, AuditKind.TAG, "new"),
        (AuditAction.TAG_MERGED, AuditKind.TAG, "loyal → new"),
        (AuditAction.TAG_DELETED, AuditKind.TAG, "new"),
    ]
    counts = session.scalars(select(AuditEntry.count).where(AuditEntry.count.is_not(None)))
    assert set(counts) == {3}


def test_deleted_mailings_and_messages_and_exported_logs_are_recorded(
    session: Session, browser: FlaskClient, user: User
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.DRAFT)
    message = MessageFactory.create(owner=user)
    name, subject = mailing.name, message.subject
    assert b'"time","mailing"' in browser.get(f"/mailings/{mailing.id}/log.csv").data
    browser.get("/logs/log.csv")
    browser.get("/reports/report.csv")
    browser.get("/reports/report.csv", query_string={"mailing": mailing.id})
    browser.post(f"/mailings/{mailing.id}/delete")
    browser.post(f"/messages/{message.id}/delete")

    assert read_entries(session) == [
        (AuditAction.LOG_EXPORTED, AuditKind.MAILING, name, ""),
        (AuditAction.LOG_EXPORTED, AuditKind.USER, user.email, ""),
        (AuditAction.REPORT_EXPORTED, AuditKind.USER, user.email, ""),
        (AuditAction.REPORT_EXPORTED, AuditKind.MAILING, name, ""),
        (AuditAction.MAILING_DELETED, AuditKind.MAILING, name, ""),
        (AuditAction.MESSAGE_DELETED, AuditKind.MESSAGE, subject, ""),
    ]


def test_commands_are_recorded(app: Flask, session: Session) -> None:
    runner = app.test_cli_runner()
    for arguments in (
        ["create", "anna@example.com", "--role", "content"],
        ["block", "anna@example.com", "--reason", "spam"],
        ["unblock", "anna@example.com", "--reason", "a mistake"],
        ["role", "anna@example.com", "manager", "--reason", "new job"],
    ):
        result = runner.invoke(args=["users", *arguments])
        assert result.exit_code == 0, result.output
    runner.invoke(args=["clients", "export", "--owner", "anna@example.com"])

    email = "anna@example.com"
    assert read_entries(session) == [
        (AuditAction.ACCOUNT_CREATED, AuditKind.USER, email, "content"),
        (AuditAction.USER_BLOCKED, AuditKind.USER, email, "spam"),
        (AuditAction.USER_UNBLOCKED, AuditKind.USER, email, "a mistake"),
        (AuditAction.ROLE_CHANGED, AuditKind.USER, email, "content -> manager: new job"),
        (AuditAction.CLIENTS_EXPORTED, AuditKind.USER, email, ""),
    ]
    assert get_last_entry(session).actor_id is None


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ADMIN])
def test_managers_and_administrators_cannot_be_blocked_on_the_web(
    app: Flask, session: Session, role: Role
) -> None:
    admin = UserFactory.create(role=Role.ADMIN)
    other = UserFactory.create(role=role)
    actor = Actor(admin.id, admin.email, "127.0.0.1", Role.ADMIN)
    with app.app_context():
        user = db.session.get_one(User, other.id)
        with pytest.raises(services.NotAllowed):
            services.block_user(user, "why", utcnow(), actor)
        with pytest.raises(services.NotAllowed):
            services.unblock_user(user, "why", actor)
    assert read_entries(session) == []


def test_the_last_administrator_keeps_the_role(app: Flask, session: Session) -> None:
    admin = UserFactory.create(role=Role.ADMIN)
    blocked = UserFactory.create(role=Role.ADMIN, blocked_at=utcnow())
    runner = app.test_cli_runner()
    rejected = runner.invoke(args=["users", "role", admin.email, "user"])
    assert rejected.exit_code == 1
    assert "last administrator" in rejected.output
    allowed = runner.invoke(args=["users", "role", blocked.email, "user"])
    assert allowed.exit_code == 0, allowed.output
    session.expire_all()
    assert (admin.role, blocked.role) == (Role.ADMIN, Role.USER)
