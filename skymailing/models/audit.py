"""Models for the audit log of important actions."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Enum, Index, String, event, text
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column

from skymailing.clock import utcnow
from skymailing.errors import SkyMailingError
from skymailing.models.base import Model
from skymailing.models.types import BigId, UTCDateTime


class AuditAction(StrEnum):
    ACCOUNT_CREATED = "account-created"
    ACCOUNT_EXPORTED = "account-exported"
    ACCOUNT_DELETION_ASKED = "account-deletion-asked"
    ACCOUNT_KEPT = "account-kept"
    ACCOUNT_DELETED = "account-deleted"
    USER_BLOCKED = "user-blocked"
    USER_TRUSTED = "user-trusted"
    USER_UNBLOCKED = "user-unblocked"
    ROLE_CHANGED = "role-changed"
    EMAIL_CHANGED = "email-changed"
    TWO_FACTOR_LIFTED = "second-factor-lifted"
    MAILING_DISABLED = "mailing-disabled"
    MAILING_ENABLED = "mailing-enabled"
    MAILING_RESUMED = "mailing-resumed"  # after a pause because of bounces or complaints
    MAILING_DELETED = "mailing-deleted"
    MAILING_RESTORED = "mailing-restored"
    MESSAGE_DELETED = "message-deleted"
    MESSAGE_RESTORED = "message-restored"
    CLIENT_DELETED = "client-deleted"
    CLIENT_RESTORED = "client-restored"
    CLIENT_MERGED = "client-merged"
    SEQUENCE_DELETED = "sequence-deleted"
    SEGMENT_DELETED = "segment-deleted"
    SEGMENT_RESTORED = "segment-restored"
    FORM_DELETED = "form-deleted"
    SENDER_DELETED = "sender-deleted"
    DOMAIN_DELETED = "domain-deleted"
    SERVER_ADDED = "server-added"
    SERVER_CHANGED = "server-changed"
    SERVER_DELETED = "server-deleted"
    WEBHOOK_ADDED = "webhook-added"
    WEBHOOK_CHANGED = "webhook-changed"
    WEBHOOK_ENABLED = "webhook-enabled"
    WEBHOOK_DISABLED = "webhook-disabled"
    WEBHOOK_DELETED = "webhook-deleted"
    TOPIC_DELETED = "topic-deleted"
    TAG_RENAMED = "tag-renamed"
    TAG_MERGED = "tag-merged"
    TAG_DELETED = "tag-deleted"
    TAG_RESTORED = "tag-restored"
    CLIENTS_TAGGED = "clients-tagged"
    CLIENTS_UNTAGGED = "clients-untagged"
    CLIENTS_SUPPRESSED = "clients-suppressed"
    CLIENTS_ALLOWED = "clients-allowed"
    CLIENTS_DELETED = "clients-deleted"
    CLIENTS_RESTORED = "clients-restored"
    CLIENTS_CHANGED = "clients-changed"
    CLIENTS_CHANGED_BACK = "clients-changed-back"
    BULK_STOPPED = "bulk-stopped"
    CLIENTS_EXPORTED = "clients-exported"
    LOG_EXPORTED = "log-exported"
    REPORT_EXPORTED = "report-exported"
    API_KEY_CREATED = "api-key-created"
    API_KEY_REVOKED = "api-key-revoked"
    ARTICLE_CREATED = "article-created"
    ARTICLE_EDITED = "article-edited"
    ARTICLE_DELETED = "article-deleted"


class AuditKind(StrEnum):
    """The kind of object that an entry is about."""

    USER = "user"
    MAILING = "mailing"
    MESSAGE = "message"
    CLIENT = "client"
    SEGMENT = "segment"
    SEQUENCE = "sequence"
    FORM = "form"
    SENDER = "sender"
    DOMAIN = "domain"
    SERVER = "server"
    WEBHOOK = "webhook"
    TOPIC = "topic"
    TAG = "tag"
    API_KEY = "api-key"
    ARTICLE = "article"


def text_column(enum: type[StrEnum]) -> Enum:
    # No check constraint, so that a new action does not require migrating a large table.
    return Enum(
        enum,
        native_enum=False,
        length=32,
        create_constraint=False,
        values_callable=lambda members: [member.value for member in members],
    )


class AuditEntry(Model):
    """An entry of the audit log, which is never changed.

    Names are copied, so that the entry remains meaningful when the people and objects are deleted. The guards
    below and database triggers reject changes outside `audit.allow_changes`.
    """

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    # None for the command line, where `actor` is the operating system account.
    actor_id: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(320))
    # The IP address of the request; empty for the command line.
    address: Mapped[str] = mapped_column(String(45), default="")
    action: Mapped[AuditAction] = mapped_column(text_column(AuditAction))
    kind: Mapped[AuditKind] = mapped_column(text_column(AuditKind))
    target_id: Mapped[int | None] = mapped_column(BigInteger)
    target: Mapped[str] = mapped_column(String(320), default="")
    reason: Mapped[str] = mapped_column(String(500), default="")
    # The number of clients affected by an action on many clients.
    count: Mapped[int | None]

    __table_args__ = (
        Index(None, "actor_id", "id"),
        # For the timeline of an account in the panel.
        Index(
            "ix_audit_entries_user",
            "target_id",
            postgresql_where=text("kind = 'user'"),
            sqlite_where=text("kind = 'user'"),
        ),
    )


class AuditPermit(Model):
    """A row that lets its own transaction change entries: the triggers allow changes while it is visible."""

    __tablename__ = "audit_permits"

    id: Mapped[int] = mapped_column(primary_key=True)


class AppendOnly(SkyMailingError):
    """An entry of the audit log was about to be changed or deleted."""


@event.listens_for(AuditEntry, "before_update")
@event.listens_for(AuditEntry, "before_delete")
def reject_change(_mapper: Any, _connection: Any, _entry: AuditEntry) -> None:
    """Reject a change that the ORM is about to flush."""
    raise AppendOnly("entries of the audit log cannot be changed or deleted")


@event.listens_for(Session, "do_orm_execute")
def reject_bulk_change(state: ORMExecuteState) -> None:
    """Reject bulk statements, which raise no mapper events."""
    if (state.is_update or state.is_delete) and state.bind_mapper is AuditEntry.__mapper__:
        raise AppendOnly("entries of the audit log cannot be changed or deleted")
