"""Save, copy and delete messages."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.delivery.rendering.content import Content
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.messages import drafts, files
from skymailing.messages.drafts import MessageChanged
from skymailing.messages.files import FileChanges
from skymailing.models import AuditAction, Mailing, MailingVariant, Message, MessageDraft, MessageFile
from skymailing.quotas.checks import require_room, select_messages
from skymailing.settings.quotas import quota_settings

MAILINGS_SHOWN = 5


class MessageInUse(UserError):
    """Mailings use the message, so it cannot be deleted; `names` are the names of the newest ones."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("message_in_use", names=", ".join(f"“{name}”" for name in names))
        self.names = names


def find_mailings(message_id: int, limit: int = MAILINGS_SHOWN) -> list[Mailing]:
    """Return the newest mailings that use a message."""
    in_variant = select(MailingVariant.mailing_id).where(MailingVariant.message_id == message_id)
    is_used = (Mailing.message_id == message_id) | Mailing.id.in_(in_variant)
    using = select(Mailing).where(is_used).order_by(Mailing.id.desc())
    return list(db.session.scalars(using.limit(limit)))


def check_unused(message_id: int) -> None:
    """Raise MessageInUse if a mailing uses the message."""
    if names := [mailing.name for mailing in find_mailings(message_id)]:
        raise MessageInUse(names)


def delete_message(message: Message, actor: Actor, now: datetime) -> MessageDraft:
    """Delete a message; return the draft from which it can be restored. Raises MessageInUse."""
    message_id = message.id
    check_unused(message_id)
    try:
        with db.session.begin_nested():
            audit.record(AuditAction.MESSAGE_DELETED, actor, message)
            deleted = drafts.store_deleted(message, now)
            db.session.flush()
            files.keep_with_draft(message, deleted)
            db.session.delete(message)
            db.session.flush()
    except IntegrityError as error:
        # A mailing with this message was created after the check; the foreign key prevented the deletion.
        raise MessageInUse([mailing.name for mailing in find_mailings(message_id)]) from error
    return deleted


def save_message(
    message: Message, content: Content, expected: int | None, changes: FileChanges | None = None
) -> None:
    """Save the typed content of a message, and add or remove files.

    Raises LimitReached if the owner may not have another message or file, and MessageChanged if `expected`
    is given and is no longer the message's version, because another window has saved it.
    """
    if message.id is not None:
        db.session.refresh(message, with_for_update=True)
        if expected is not None and expected != message.version:
            raise MessageChanged
        message.version += 1
    else:
        _require_room(message.owner_id)
    content.write_to(message)
    db.session.add(message)
    db.session.flush()
    if changes:
        files.change_files(message, changes, utcnow())


def change_files(message: Message, changes: FileChanges) -> list[MessageFile]:
    """Add or remove files of a message, whose row is locked; return the added ones. Raises LimitReached."""
    message.version += 1
    return files.change_files(message, changes, utcnow())


def duplicate_message(message: Message) -> Message:
    """Add a copy of a message; raises LimitReached."""
    _require_room(message.owner_id)
    copy = Message(owner_id=message.owner_id)
    Content.with_source(message).write_to(copy)
    db.session.add(copy)
    db.session.flush()
    files.copy_files(message, copy)
    db.session.flush()
    return copy


def _require_room(owner_id: int) -> None:
    require_room("message_limit", select_messages(owner_id), quota_settings().messages)
