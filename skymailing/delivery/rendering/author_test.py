"""Render a test letter: what a client would get, sent to the author."""

from uuid import uuid4

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
from skymailing.delivery.rendering.values import Habits
from skymailing.delivery.senders import From, service_address
from skymailing.models import User
from skymailing.web.urls import browser_url, unsubscribe_url


def render_test_letter(
    content: Content,
    recipient: Recipient,
    user: User,
    source: From,
    signer: Signer | None = None,
    mark: str = "",
) -> tuple[bytes, bytes]:
    """Render a test letter from `source` to `user` with the values of `recipient`.

    Return the letter and its tail, see `Letter`. `mark` is the label of the variant, such as "A", or empty
    without variants. The unsubscribe and browser links are only examples. Raises TemplateError.
    """
    address = service_address()
    envelope = (source.address or address, source.reply_to, user.id)
    sender = Sender(source.name, *envelope, *get_configured_mailboxes(), signer=signer)
    run = RunIdentity(uuid4())  # no delivery, so a bounce cannot be attributed to one
    template = LetterTemplate(content, sender, run, f"test.{address.rpartition('@')[2]}", Habits.of(user))
    label = f"test {mark}" if mark else "test"
    values = make_values(
        recipient,
        template.sender_name,
        unsubscribe_url("example"),
        template.parts.readers,
        browser_url=browser_url("example"),
    )
    letter = template.assemble(
        mime.encode_mailbox(user.name, user.email),
        f"[{label}] {template.parts.fill_subject(values)}",
        values,
        run.make_message_id(0, template.domain),
        utcnow(),
    )
    return letter, template.tail.content
