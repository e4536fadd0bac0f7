"""Record deletions and managers' actions in the audit log, in their transaction, and exports in their own."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from flask import has_request_context, request
from flask_login import current_user
from sqlalchemy import Connection, delete, insert

from skymailing.extensions import db
from skymailing.models import (
    ApiKey,
    Article,
    AuditAction,
    AuditEntry,
    AuditKind,
    AuditPermit,
    Client,
    Mailing,
    Message,
    Role,
    Segment,
    Sender,
    SendingDomain,
    Sequence,
    SignupForm,
    SmtpServer,
    Tag,
    Topic,
    User,
    WebhookEndpoint,
)

Sending = Sender | SendingDomain | SmtpServer | SignupForm | WebhookEndpoint | Sequence
Target = User | Mailing | Message | Client | Segment | Tag | Topic | ApiKey | Article | Sending

# The kind of each target, and the attribute that names it.
KINDS: dict[type, tuple[AuditKind, str]] = {
    User: (AuditKind.USER, "email"),
    Mailing: (AuditKind.MAILING, "name"),
    Message: (AuditKind.MESSAGE, "subject"),
    Client: (AuditKind.CLIENT, "email"),
    Segment: (AuditKind.SEGMENT, "name"),
    Sequence: (AuditKind.SEQUENCE, "name"),
    SignupForm: (AuditKind.FORM, "name"),
    Sender: (AuditKind.SENDER, "address"),
    SendingDomain: (AuditKind.DOMAIN, "name"),
    SmtpServer: (AuditKind.SERVER, "name"),
    WebhookEndpoint: (AuditKind.WEBHOOK, "url"),
    Tag: (AuditKind.TAG, "name"),
    Topic: (AuditKind.TOPIC, "name"),
    ApiKey: (AuditKind.API_KEY, "name"),
    Article: (AuditKind.ARTICLE, "title"),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """The person who acts, and their IP address; on the command line, `id` and `role` are None."""

    id: int | None
    name: str
    address: str = ""
    role: Role | None = None


def current_actor() -> Actor:
    """Return the signed-in user, or the operating system user who runs the command."""
    if has_request_context() and current_user.is_authenticated:
        return Actor(current_user.id, current_user.email, request.remote_addr or "", current_user.role)
    return Actor(None, _read_operator_name())


def _read_operator_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container user without a name
        return ""


def record(action: AuditAction, actor: Actor, target: Target, reason: str = "") -> None:
    """Add an entry to the caller's transaction."""
    db.session.add(_make_entry(action, actor, target, reason))


def record_bulk(action: AuditAction, actor: Actor, target: Target, count: int) -> None:
    """Add one entry about `count` clients, whose tag or owner is the target, to the caller's transaction."""
    entry = _make_entry(action, actor, target, "")
    entry.count = count
    db.session.add(entry)


def record_replacement(action: AuditAction, actor: Actor, target: Target, new_name: str) -> None:
    """Add an entry about an object that has been given a new name, or merged into another one."""
    entry = _make_entry(action, actor, target, "")
    entry.target = f"{entry.target} → {new_name}"[:320]
    db.session.add(entry)


def record_export(action: AuditAction, actor: Actor, target: Target) -> None:
    """Add an entry about exported data in a new transaction, which the caller must commit immediately.

    The current transaction is rolled back first: it has only read so far, and on SQLite such a
    transaction cannot always start writing.
    """
    entry = _make_entry(action, actor, target, "")
    db.session.rollback()
    db.session.add(entry)


def _make_entry(action: AuditAction, actor: Actor, target: Target, reason: str) -> AuditEntry:
    kind, name = _describe_target(target)
    return AuditEntry(
        actor_id=actor.id,
        actor=actor.name[:320],
        address=actor.address[:45],
        action=action,
        kind=kind,
        target_id=target.id,
        target=name[:320],
        reason=reason[:500],
    )


def _describe_target(target: Target) -> tuple[AuditKind, str]:
    # The proxy `current_user` has another type.
    target = cast(Target, getattr(target, "_get_current_object", lambda: target)())
    kind, attribute = KINDS[type(target)]
    name = str(getattr(target, attribute))
    return kind, f"{name} ({target.host})" if isinstance(target, SmtpServer) else name


@contextmanager
def allow_changes(connection: Connection) -> Iterator[None]:
    """Allow this connection's transaction to change or delete entries inside the `with` block.

    Two cases need this: users who delete their account have the right to be removed from the log, and
    operators can limit how long entries are kept.
    """
    permit = connection.execute(insert(AuditPermit)).inserted_primary_key
    assert permit is not None
    yield
    connection.execute(delete(AuditPermit).where(AuditPermit.id == permit[0]))
