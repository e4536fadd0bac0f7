"""What is being typed, kept while it is typed; and what was thrown away, kept for an undo."""

from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.exc import IntegrityError

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.delivery.rendering.content import MAX_BODY, Content, clean
from skymailing.delivery.rendering.mime import clean_line
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import AuditAction, Message, MessageDraft

KEPT = timedelta(days=180)  # after the last change
KEPT_DISCARDED = timedelta(days=2)
MAX_DRAFTS = 100  # of one user
SHOWN = 5
MAX_SUBJECT = 1_000


class DraftElsewhere(SkyMailingError):
    """Another window has kept something else meanwhile."""


class MessageChanged(SkyMailingError):
    """The message was saved by another window after the typing began."""


class TooManyDrafts(SkyMailingError):
    """The user has more letters begun than anybody finishes."""


def begin_draft(
    owner_id: int, message: Message | None, base: int | None, content: Content, now: datetime
) -> MessageDraft:
    """Add the draft of a message, or of a new one.

    Raises DraftElsewhere when the message has a draft, MessageChanged when it is not the one of version
    `base` any more, and TooManyDrafts.
    """
    if message is not None and base is not None and base != message.version:
        raise MessageChanged("the message was saved meanwhile")
    own = select(func.count()).where(MessageDraft.owner_id == owner_id, MessageDraft.discarded_at.is_(None))
    if (db.session.scalar(own) or 0) >= MAX_DRAFTS:
        raise TooManyDrafts("too many drafts")
    draft = MessageDraft(owner_id=owner_id, message_id=message.id if message else None)
    draft.base_version = message.version if message else None
    write(draft, content, now)
    try:
        with db.session.begin_nested():
            db.session.add(draft)
            db.session.flush()
    except IntegrityError as error:
        raise DraftElsewhere("the message has a draft already") from error
    return draft


def change_draft(draft: MessageDraft, revision: int | None, content: Content, now: datetime) -> MessageDraft:
    """Keep what was typed; raises DraftElsewhere unless `revision` is the draft's, or None to take over."""
    db.session.refresh(draft, with_for_update=True)
    if draft.discarded_at or (revision is not None and revision != draft.revision):
        raise DraftElsewhere("another window keeps this draft")
    draft.revision += 1
    write(draft, content, now)
    return draft


def write(draft: MessageDraft, content: Content, now: datetime) -> None:
    draft.subject = clean_line(content.subject)[:MAX_SUBJECT]
    draft.format = content.format
    draft.body = clean(content.body)[:MAX_BODY]
    draft.saved_at = now


def find_draft(message: Message) -> MessageDraft | None:
    """Return what was typed into a message and not saved."""
    mine = select(MessageDraft).where(MessageDraft.message_id == message.id)
    return db.session.scalar(mine.where(MessageDraft.discarded_at.is_(None)))


def find_new(owner_id: int, draft_id: int) -> MessageDraft | None:
    """Return the owner's draft of a message that has never been saved."""
    return db.session.scalar(select_new(owner_id).where(MessageDraft.id == draft_id))


def select_new(owner_id: int) -> Select[tuple[MessageDraft]]:
    mine = select(MessageDraft).where(MessageDraft.owner_id == owner_id, MessageDraft.message_id.is_(None))
    return mine.where(MessageDraft.discarded_at.is_(None))


def list_new(owner_id: int) -> list[MessageDraft]:
    """Return the latest drafts of messages that have never been saved."""
    latest = select_new(owner_id).order_by(MessageDraft.saved_at.desc())
    return list(db.session.scalars(latest.limit(SHOWN)))


def forget_drafts(owner_id: int, *, draft_id: int | None, message_id: int | None) -> None:
    """Delete the drafts of what was saved just now."""
    which = [MessageDraft.message_id == message_id] if message_id is not None else []
    if draft_id is not None:
        which.append((MessageDraft.id == draft_id) & MessageDraft.message_id.is_(None))
    if which:
        db.session.execute(delete(MessageDraft).where(MessageDraft.owner_id == owner_id, or_(*which)))


def keep_deleted(message: Message, now: datetime) -> MessageDraft:
    """Keep the content of a message that is about to be deleted."""
    kept = MessageDraft(owner_id=message.owner_id, was_message=True, discarded_at=now)
    write(kept, Content(message.subject, message.format, message.body), now)
    db.session.add(kept)
    return kept


def restore(draft: MessageDraft, now: datetime, actor: Actor) -> Message | None:
    """Undo a discarding, or a deletion: then the message is returned.

    Raises DraftElsewhere, and CannotRestore when the deletion is too long ago.
    """
    db.session.refresh(draft, with_for_update=True)
    if draft.was_message:
        if draft.discarded_at is None or draft.discarded_at <= now - undo.UNDO_WINDOW:
            raise undo.CannotRestore("undo_expired")
        message = Message(
            owner_id=draft.owner_id, subject=draft.subject, format=draft.format, body=draft.body
        )
        db.session.add(message)
        db.session.delete(draft)
        db.session.flush()
        audit.record(AuditAction.MESSAGE_RESTORED, actor, message)
        return message
    try:
        with db.session.begin_nested():
            draft.discarded_at = None
            db.session.flush()
    except IntegrityError as error:
        raise DraftElsewhere("the message has another draft by now") from error
    return None


def drop_old(now: datetime) -> None:
    """Delete what nobody came back for; commits."""
    old = or_(
        MessageDraft.discarded_at < now - KEPT_DISCARDED,
        # What was deleted is kept no longer than anything else that was.
        MessageDraft.was_message & (MessageDraft.discarded_at <= now - undo.UNDO_WINDOW),
        MessageDraft.saved_at < now - KEPT,
    )
    db.session.execute(delete(MessageDraft).where(old))
    db.session.commit()
