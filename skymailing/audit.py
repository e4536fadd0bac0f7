"""The audit log: what people with power did, written in the transaction that does it."""

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
    Article,
    AuditAction,
    AuditEntry,
    AuditKind,
    AuditPermit,
    Client,
    Mailing,
    Message,
    Role,
    User,
)

Target = User | Mailing | Message | Client | Article


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something and from which network address; `id` and `role` are None on the command line."""

    id: int | None
    name: str
    address: str = ""
    role: Role | None = None


def present_actor() -> Actor:
    """Return the signed-in user of this request, or who runs this command."""
    if has_request_context() and current_user.is_authenticated:
        return Actor(current_user.id, current_user.email, request.remote_addr or "", current_user.role)
    return Actor(None, _operator())


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return ""


def record(action: AuditAction, actor: Actor, target: Target, reason: str = "") -> None:
    """Add a line to the log in the caller's transaction."""
    db.session.add(make_entry(action, actor, target, reason))


def record_reading(action: AuditAction, actor: Actor, target: Target) -> None:
    """Write down that data is being taken away; ends the request's transaction and commits its own.

    On SQLite a transaction that has read cannot always write: this one begins with writing.
    """
    entry = make_entry(action, actor, target, "")
    db.session.rollback()
    db.session.add(entry)
    db.session.commit()


def make_entry(action: AuditAction, actor: Actor, target: Target, reason: str) -> AuditEntry:
    kind, label = describe_target(target)
    return AuditEntry(
        actor_id=actor.id,
        actor=actor.name[:320],
        address=actor.address[:45],
        action=action,
        kind=kind,
        target_id=target.id,
        target=label[:320],
        reason=reason[:500],
    )


def describe_target(target: Target) -> tuple[AuditKind, str]:
    """Return what kind of thing it is and what people know it by."""
    # `current_user` stands for a user without being one.
    target = cast(Target, getattr(target, "_get_current_object", lambda: target)())
    match target:
        case User():
            return AuditKind.USER, target.email
        case Mailing():
            return AuditKind.MAILING, target.name
        case Message():
            return AuditKind.MESSAGE, target.subject
        case Client():
            return AuditKind.CLIENT, target.email
        case _:
            return AuditKind.ARTICLE, target.title


@contextmanager
def changing(connection: Connection) -> Iterator[None]:
    """Let lines be changed or removed inside, by statements of this connection's transaction alone.

    For those who have a right to it that the log has not: somebody who leaves, and the operator who
    chose for how long lines are kept.
    """
    permit = connection.execute(insert(AuditPermit)).inserted_primary_key
    assert permit is not None
    yield
    connection.execute(delete(AuditPermit).where(AuditPermit.id == permit[0]))
