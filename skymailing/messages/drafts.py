"""Drafts: content that is not saved yet, and deleted messages that can still be restored."""

from datetime import datetime, timedelta

from sqlalchemy import Select, delete, or_, select

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.db.drafts import begin_revision, restore_unless_taken
from skymailing.db.unique import add_unless_taken
from skymailing.delivery.rendering.content import MAX_BODY, Content, clean
from skymailing.delivery.rendering.mime import clean_line
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.messages.files import restore_from_draft
from skymailing.models import AuditAction, Message, MessageDraft
from skymailing.models.message import PREHEADER_MAX_LENGTH
from skymailing.quotas.checks import require_room, select_drafts
from skymailing.settings.quotas import quota_settings

RETENTION = timedelta(days=180)  # after the last change
DISCARDED_RETENTION = timedelta(days=2)
MAX_SHOWN = 5  # drafts in a list
MAX_SUBJECT = 1_000  # characters


class DraftElsewhere(UserError):
    """Another window has changed this draft in the meantime."""

    def __init__(self) -> None:
        super().__init__("message_draft_elsewhere")


class NewerDraft(UserError):
    """The message has another draft, so a discarded one cannot be restored."""

    def __init__(self) -> None:
        super().__init__("message_newer_draft")


class MessageChanged(UserError):
    """Another window has saved the message since this one opened it."""

    def __init__(self) -> None:
        super().__init__("message_changed")


def begin_draft(
    owner_id: int, message: Message | None, base: int | None, content: Content, now: datetime
) -> MessageDraft:
    """Add a draft of an existing message or, if `message` is None, of a new one.

    Raises DraftElsewhere if the message already has a draft, MessageChanged if `base` is no longer its
    version, and LimitReached.
    """
    if message is not None and base is not None and base != message.version:
        raise MessageChanged
    require_room("message_too_many_drafts", select_drafts(owner_id), quota_settings().drafts)
    draft = MessageDraft(owner_id=owner_id, message_id=message.id if message else None)
    draft.base_version = message.version if message else None
    set_content(draft, content, now)
    if not add_unless_taken(draft):
        raise DraftElsewhere
    return draft


def change_draft(draft: MessageDraft, revision: int | None, content: Content, now: datetime) -> MessageDraft:
    """Save the typed content; raises DraftElsewhere if `revision` is neither current nor None."""
    if not begin_revision(draft, revision):
        raise DraftElsewhere
    set_content(draft, content, now)
    return draft


def set_content(draft: MessageDraft, content: Content, now: datetime) -> None:
    draft.subject = clean_line(content.subject)[:MAX_SUBJECT]
    draft.format = content.format
    draft.body = clean(content.body)[:MAX_BODY]
    draft.preheader = clean_line(content.preheader)[:PREHEADER_MAX_LENGTH]
    draft.language = content.language
    draft.source_format, draft.source = content.source_format, content.source
    draft.layout_id = content.layout_id
    draft.revision = draft.revision or 1  # a new draft has no revision yet
    draft.source_revision = draft.revision if content.source_format else None
    draft.saved_at = now


def find_draft(message: Message) -> MessageDraft | None:
    """Return a message's draft, which contains the unsaved changes."""
    statement = select(MessageDraft).where(MessageDraft.message_id == message.id)
    return db.session.scalar(statement.where(MessageDraft.discarded_at.is_(None)))


def find_new_draft(owner_id: int, draft_id: int) -> MessageDraft | None:
    """Return the owner's draft of a message that has never been saved."""
    return db.session.scalar(select_new_drafts(owner_id).where(MessageDraft.id == draft_id))


def select_new_drafts(owner_id: int) -> Select[tuple[MessageDraft]]:
    statement = select(MessageDraft).where(
        MessageDraft.owner_id == owner_id, MessageDraft.message_id.is_(None)
    )
    return statement.where(MessageDraft.discarded_at.is_(None))


def list_new_drafts(owner_id: int) -> list[MessageDraft]:
    """Return the latest drafts of messages that have never been saved."""
    latest = select_new_drafts(owner_id).order_by(MessageDraft.saved_at.desc())
    return list(db.session.scalars(latest.limit(MAX_SHOWN)))


def delete_drafts(owner_id: int, *, draft_id: int | None, message_id: int | None) -> None:
    """Delete the drafts of a message that has just been saved."""
    conditions = [MessageDraft.message_id == message_id] if message_id is not None else []
    if draft_id is not None:
        conditions.append((MessageDraft.id == draft_id) & MessageDraft.message_id.is_(None))
    if conditions:
        db.session.execute(delete(MessageDraft).where(MessageDraft.owner_id == owner_id, or_(*conditions)))


def store_deleted(message: Message, now: datetime) -> MessageDraft:
    """Store the content of a message that is about to be deleted."""
    deleted = MessageDraft(owner_id=message.owner_id, was_message=True, discarded_at=now)
    set_content(deleted, Content.with_source(message), now)
    db.session.add(deleted)
    return deleted


def restore_draft(draft: MessageDraft, now: datetime, actor: Actor) -> Message | None:
    """Restore a discarded draft or a deleted message; return the message if one was restored.

    Raises NewerDraft, and CannotRestore if the message was deleted too long ago.
    """
    db.session.refresh(draft, with_for_update=True)
    if draft.was_message:
        if draft.discarded_at is None or draft.discarded_at <= now - undo.UNDO_WINDOW:
            raise undo.CannotRestore("undo_expired")
        message = Message(owner_id=draft.owner_id)
        Content.with_source(draft).write_to(message)
        db.session.add(message)
        db.session.flush()
        restore_from_draft(draft, message)
        db.session.delete(draft)
        db.session.flush()
        audit.record(AuditAction.MESSAGE_RESTORED, actor, message)
        return message
    if not restore_unless_taken(draft):
        raise NewerDraft
    return None


def delete_expired(now: datetime) -> None:
    """Delete expired drafts, and deleted messages that can no longer be restored."""
    old = or_(
        MessageDraft.discarded_at < now - DISCARDED_RETENTION,
        # Deleted messages are kept for as long as other data that can be restored.
        MessageDraft.was_message & (MessageDraft.discarded_at <= now - undo.UNDO_WINDOW),
        MessageDraft.saved_at < now - RETENTION,
    )
    db.session.execute(delete(MessageDraft).where(old))
