"""Show the subjects of messages as a client sees them."""

from skymailing.delivery.rendering.letter import (
    CompiledContent,
    TemplateError,
    make_recipient,
    make_values,
)
from skymailing.delivery.rendering.message_content import Content
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.models import Client, MessageFormat
from skymailing.web.subjects import readable_subject
from skymailing.web.urls import EXAMPLE_UNSUBSCRIBE_URL


def fill_for_client(text: str, client: Client) -> str:
    """Return a subject with the client's current values, or with readable words if it cannot be filled."""
    if "{" not in text:
        return text
    owner = client.owner
    try:
        line = CompiledContent(Content(text, MessageFormat.TEXT, ""), ValueFormats.of(owner))
        values = make_values(make_recipient(client), owner.name, EXAMPLE_UNSUBSCRIBE_URL, line.readers)
        return line.fill_subject(values)
    except TemplateError:
        return readable_subject(text)
