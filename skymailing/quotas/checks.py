"""Check limits when something is added."""

from datetime import datetime
from typing import Any

from flask_babel import format_decimal
from flask_babel.speaklater import LazyString
from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select

from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Mailing,
    MailingKind,
    Message,
    MessageDraft,
    MessagePicture,
    Segment,
    Sender,
    SendingDomain,
    Sequence,
    SequenceState,
    SignupForm,
    SmtpServer,
    StoredFile,
    Topic,
    UsageKind,
    WebhookEndpoint,
)
from skymailing.quotas import counting
from skymailing.settings.quotas import quota_settings


class LimitReached(UserError):
    """The user has reached a limit, whose value is `limit`."""

    def __init__(self, code: str, limit: int) -> None:
        super().__init__(code, limit=LazyString(format_decimal, limit))


def select_clients(owner_id: int) -> Select[Any]:
    return select(Client.id).where(Client.owner_id == owner_id)


def select_messages(owner_id: int) -> Select[Any]:
    return select(Message.id).where(Message.owner_id == owner_id)


def select_mailings(owner_id: int) -> Select[Any]:
    return select(Mailing.id).where(Mailing.owner_id == owner_id, Mailing.kind == MailingKind.MAILING)


def select_caught_mailings(owner_id: int) -> Select[Any]:
    """Select the mailings of test keys."""
    return select(Mailing.id).where(Mailing.owner_id == owner_id, Mailing.kind == MailingKind.CAUGHT)


def select_segments(owner_id: int) -> Select[Any]:
    return select(Segment.id).where(Segment.owner_id == owner_id)


def select_sequences(owner_id: int) -> Select[Any]:
    return select(Sequence.id).where(Sequence.owner_id == owner_id, Sequence.state != SequenceState.ARCHIVED)


def select_forms(owner_id: int) -> Select[Any]:
    return select(SignupForm.id).where(SignupForm.owner_id == owner_id)


def select_topics(owner_id: int) -> Select[Any]:
    return select(Topic.id).where(Topic.owner_id == owner_id)


def select_senders(owner_id: int) -> Select[Any]:
    return select(Sender.id).where(Sender.owner_id == owner_id)


def select_domains(owner_id: int) -> Select[Any]:
    return select(SendingDomain.id).where(SendingDomain.owner_id == owner_id)


def select_servers(owner_id: int) -> Select[Any]:
    return select(SmtpServer.id).where(SmtpServer.owner_id == owner_id)


def select_webhooks(owner_id: int) -> Select[Any]:
    return select(WebhookEndpoint.id).where(WebhookEndpoint.owner_id == owner_id)


def select_drafts(owner_id: int) -> Select[Any]:
    """Select drafts, including discarded ones, but not deleted messages, which are kept for only an hour."""
    return select(MessageDraft.id).where(MessageDraft.owner_id == owner_id, ~MessageDraft.was_message)


def select_pictures(owner_id: int) -> Select[Any]:
    return select(MessagePicture.id).where(MessagePicture.owner_id == owner_id)


def picture_bytes(owner_id: int) -> ScalarSelect[int]:
    total = select(func.coalesce(func.sum(MessagePicture.size), 0))
    return total.where(MessagePicture.owner_id == owner_id).scalar_subquery()


def counted(rows: Select[Any], limit: int) -> ScalarSelect[int]:
    """Return an expression for the number of rows, up to the limit."""
    return select(func.count()).select_from(rows.limit(limit).subquery()).scalar_subquery()


def count_up_to(rows: Select[Any], limit: int) -> int:
    """Count rows, up to the limit."""
    return evaluate(counted(rows, limit))


def evaluate(expression: ScalarSelect[int]) -> int:
    return db.session.scalar(select(expression)) or 0


def require_room(code: str, rows: Select[Any], limit: int) -> None:
    """Raise LimitReached if the number of rows has reached the limit."""
    if limit and count_up_to(rows, limit) >= limit:
        raise LimitReached(code, limit)


def require_room_for_pictures(owner_id: int) -> None:
    """Raise LimitReached if the user may not add another picture."""
    settings = quota_settings()
    require_room("message_too_many_pictures", select_pictures(owner_id), settings.pictures)
    limit = settings.pictures_mb * 1024 * 1024
    if limit and evaluate(picture_bytes(owner_id)) >= limit:
        raise LimitReached("message_too_many_pictures", settings.pictures_mb)


def file_bytes(owner_id: int) -> ScalarSelect[int]:
    total = select(func.coalesce(func.sum(StoredFile.size), 0))
    return total.where(StoredFile.owner_id == owner_id).scalar_subquery()


def require_room_for_files(owner_id: int, size: int) -> None:
    """Raise LimitReached if the user may not store another file of `size` bytes."""
    limit = quota_settings().files_mb
    if limit and evaluate(file_bytes(owner_id)) + size > limit * 1024 * 1024:
        raise LimitReached("file_no_space", limit)


def use(code: str, owner_id: int, kind: UsageKind, limit: int, hours: int, now: datetime) -> None:
    """Count one use; raise LimitReached if there are more than `limit` in the last `hours` hours.

    The use is counted first, so that simultaneous requests cannot exceed the limit.
    """
    connection = db.session.connection()
    counting.add(connection, owner_id, kind, 1, now)
    used: ColumnElement[int] = counting.total(owner_id, kind, hours, now)
    if limit and (connection.scalar(select(used)) or 0) > limit:
        counting.subtract(connection, owner_id, kind, 1, now)
        raise LimitReached(code, limit)
