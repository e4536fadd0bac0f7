"""Show a letter's line in its recipient's inbox: the sender, the subject and the preheader."""

from dataclasses import dataclass

from skymailing.delivery.rendering.content import Content
from skymailing.delivery.rendering.letter import (
    EXAMPLE,
    CompiledContent,
    Recipient,
    TemplateError,
    make_recipient,
    make_values,
)
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.models import Client, Message, MessageFormat, User
from skymailing.web.urls import EXAMPLE_UNSUBSCRIBE_URL


@dataclass(frozen=True, slots=True)
class InboxLine:
    """The texts that mail programs show in the list of letters."""

    sender: str  # only the name
    subject: str
    preheader: str  # empty if there is none


def show_inbox_line(owner: User, message: Message, client: Client | None, sender: str) -> InboxLine | None:
    """Return the line for a client, or for an example; None if a text cannot be rendered."""
    recipient = make_recipient(client) if client else EXAMPLE
    try:
        return InboxLine(
            sender,
            _fill(owner, message, message.subject, recipient, sender),
            _fill(owner, message, message.preheader, recipient, sender),
        )
    except TemplateError:
        return None


def _fill(owner: User, message: Message, text: str, recipient: Recipient, sender: str) -> str:
    """Render one line; the body, which takes longer, is left out."""
    line = CompiledContent(Content(text, MessageFormat.TEXT, "", message.language), ValueFormats.of(owner))
    return line.fill_subject(make_values(recipient, sender, EXAMPLE_UNSUBSCRIBE_URL, line.readers))
