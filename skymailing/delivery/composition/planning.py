"""Compose the messages of a mailing again before its run is planned."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.current import compose_message, find_layouts
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.content import Content, TemplateError
from skymailing.models import Mailing, MailingVariant, Message, User

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewBodies:
    """The bodies of composed messages, by the ID and the version of each message."""

    bodies: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def of(self, message: Message) -> str:
        """Return the body that a run sends: the new one, unless the message has been changed since."""
        body = self.bodies.get((message.id, message.version), message.body)
        try:
            return replace(Content.of(message), body=body).sent_body
        except TemplateError:  # not expected in a saved preheader, and must not prevent the start
            return body


def compose_again(mailing_id: int) -> NewBodies:
    """Compose the messages of a mailing again, because the owner's brand or layouts may have changed.

    A message that cannot be composed keeps its stored body. No transaction is open in the meantime.
    """
    with Session(reading_engine()) as session:
        mailing = session.get(Mailing, mailing_id)
        messages = _read_composed(session, mailing) if mailing is not None else []
        if mailing is None or not messages:
            return NewBodies()
        brand = find_owner_brand(session, session.get_one(User, mailing.owner_id))
        layouts = find_layouts(session, mailing.owner_id, {message.layout_id for message in messages})
        session.expunge_all()
    bodies = {}
    for message in messages:
        layout = layouts.get(message.layout_id) if message.layout_id else None
        try:
            bodies[message.id, message.version] = compose_message(message, brand, layout)
        except (InvalidSource, TemplateError) as error:  # a rule that is newer than the message
            logger.warning("Message %s keeps its stored body: %s", message.id, error)
        except Exception:  # a bug must not prevent the mailing's start
            logger.exception("Message %s keeps its stored body", message.id)
    return NewBodies(bodies)


def _read_composed(session: Session, mailing: Mailing) -> list[Message]:
    in_variant = select(MailingVariant.message_id).where(MailingVariant.mailing_id == mailing.id)
    is_sent = (Message.id == mailing.message_id) | Message.id.in_(in_variant)
    is_current = Message.source_version == Message.version
    found = session.scalars(select(Message).where(is_sent, is_current))
    return [message for message in found if message.current_source[0]]
