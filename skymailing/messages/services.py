"""What happens to messages beyond plain saving."""

from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.delivery.rendering.content import Content
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.messages import drafts
from skymailing.messages.drafts import MessageChanged
from skymailing.models import AuditAction, Mailing, Message, MessageDraft

NAMES_SHOWN = 5


class MessageInUse(SkyMailingError):
    """Mailings send the message, so it stays; `names` are some of theirs."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("the message is used by mailings")
        self.names = names


def find_mailings(message_id: int, limit: int = NAMES_SHOWN) -> list[Mailing]:
    """Return the newest mailings that send a message."""
    using = select(Mailing).where(Mailing.message_id == message_id).order_by(Mailing.id.desc())
    return list(db.session.scalars(using.limit(limit)))


def delete_message(message: Message, actor: Actor, now: datetime) -> MessageDraft:
    """Delete a message; return what an undo needs. Raises MessageInUse."""
    message_id = message.id
    if names := [mailing.name for mailing in find_mailings(message_id)]:
        raise MessageInUse(names)
    try:
        with db.session.begin_nested():
            audit.record(AuditAction.MESSAGE_DELETED, actor, message)
            kept = drafts.keep_deleted(message, now)
            db.session.delete(message)
            db.session.flush()
    except IntegrityError as error:
        # A mailing took the message between our look and the deletion: the foreign key has the last word.
        raise MessageInUse([mailing.name for mailing in find_mailings(message_id)]) from error
    return kept


def save_message(message: Message, content: Content, expected: int | None) -> None:
    """Write what was typed into a message.

    Raises MessageChanged when `expected` is given and is not its version any more: then another window
    has saved it meanwhile.
    """
    if message.id is not None:
        db.session.refresh(message, with_for_update=True)
        if expected is not None and expected != message.version:
            raise MessageChanged("the message was saved meanwhile")
        message.version += 1
    message.subject, message.format, message.body = content.subject, content.format, content.body
    db.session.add(message)
    db.session.flush()


def duplicate_message(message: Message) -> Message:
    """Add a copy of a message."""
    copy = Message(
        owner_id=message.owner_id, subject=message.subject, format=message.format, body=message.body
    )
    db.session.add(copy)
    db.session.flush()
    return copy


def explain_error(error: TemplateError) -> str:
    """Return what is wrong with a template in the reader's language, with its line."""
    words: Any = _(error.message)
    if error.params:
        words = words % error.params
    return _("Line %(line)s: %(problem)s.", line=error.line, problem=words) if error.line else f"{words}."


def explain_use(names: list[str]) -> str:
    """Return why a message cannot be deleted."""
    shown = ", ".join(f"“{name}”" for name in names)
    text: str = ngettext(
        "The mailing %(names)s sends this message, so it cannot be deleted.",
        "The mailings %(names)s send this message, so it cannot be deleted.",
        len(names),
        names=shown,
    )
    return text
