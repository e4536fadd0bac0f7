"""Render a test letter: a client's letter, sent to the author."""

from uuid import uuid4

from flask_babel import gettext as _

from skymailing.clock import utcnow
from skymailing.delivery.rendering import mime
from skymailing.delivery.rendering.content import Content
from skymailing.delivery.rendering.dkim import Signer
from skymailing.delivery.rendering.letter import (
    LetterTemplate,
    Recipient,
    Sender,
    get_configured_mailboxes,
    make_values,
)
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.senders import From, service_address
from skymailing.models import OutboxLetter
from skymailing.web.urls import browser_url, unsubscribe_url


def render_test_letter(
    content: Content,
    recipient: Recipient,
    letter: OutboxLetter,
    source: From,
    signer: Signer | None = None,
) -> tuple[bytes, bytes]:
    """Render a test letter from `source` with the values of `recipient`.

    Return its bytes and its tail, see `Letter`. Its unsubscribe and browser links are only examples. Raises
    TemplateError.
    """
    user, mark = letter.user, letter.params.get("mark", "")  # the label of a variant, such as "A", or empty
    address = service_address()
    envelope = (source.address or address, source.reply_to, user.id)
    sender = Sender(source.name, *envelope, *get_configured_mailboxes(), signer=signer)
    run = RunIdentity(uuid4())  # no delivery, so a bounce cannot be attributed to one
    template = LetterTemplate(
        content, sender, run, f"test.{address.rpartition('@')[2]}", ValueFormats.of(user)
    )
    label = _("Test %(variant)s", variant=mark) if mark else _("Test")
    name = user.name if letter.to == user.email else ""
    values = make_values(
        recipient,
        template.sender_name,
        unsubscribe_url("example"),
        template.parts.readers,
        browser_url=browser_url("example"),
    )
    content_bytes = template.assemble(
        mime.encode_mailbox(name, letter.to),
        f"[{label}] {template.parts.fill_subject(values)}",
        values,
        run.make_message_id(0, template.domain),
        utcnow(),
    )
    return content_bytes, template.tail.content
