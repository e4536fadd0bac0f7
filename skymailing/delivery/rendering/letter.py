"""A message and a client make a letter: bytes, ready for DATA before dot-stuffing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from uuid import UUID, uuid4, uuid5

from flask import current_app

from skymailing.clock import utcnow
from skymailing.delivery.rendering import mime
from skymailing.delivery.rendering.compiled_part import Filler
from skymailing.delivery.rendering.content import Content, TemplateError, check_content, compile_content
from skymailing.delivery.rendering.liquid import lookup
from skymailing.models import Client, Message, User
from skymailing.web.urls import EXAMPLE_UNSUBSCRIBE_URL, unsubscribe_url

__all__ = [
    "EXAMPLE",
    "Content",
    "LetterTemplate",
    "Recipient",
    "Rendered",
    "Sender",
    "TemplateError",
    "check_content",
    "find_empty",
    "make_recipient",
    "message_id",
    "preview",
    "render_test_letter",
]


@dataclass(frozen=True, slots=True)
class Recipient:
    """To whom a letter goes, with the values that fill its placeholders."""

    email: str
    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sender:
    """From whom: the owner's name, the service's address, the owner's own address."""

    name: str
    address: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter as its reader sees it; `html` is empty for a plain-text message."""

    subject: str
    text: str
    html: str


EXAMPLE = Recipient("anna@example.com", "Anna Example", {})


def make_recipient(client: Client) -> Recipient:
    """Return a client as the recipient of a letter."""
    return Recipient(client.email, client.full_name, client.attributes)


def make_values(recipient: Recipient, sender_name: str, unsubscribe_url: str) -> dict[str, object]:
    """Return what placeholders stand for; a client's own fields win over attributes of their name.

    What is empty is None: to Liquid an empty text is true, and `{% if client.city %}` means a city.
    """
    name, email = recipient.name or None, recipient.email
    attributes = recipient.attributes
    if not all(attributes.values()):
        attributes = {key: value for key, value in attributes.items() if value}
    return {
        "name": name,
        "email": email,
        "client": {**attributes, "name": name, "full_name": name, "email": email},
        "unsubscribe_url": unsubscribe_url,
        "sender_name": sender_name,
    }


def find_empty(paths: list[tuple[str, ...]], recipient: Recipient) -> list[tuple[str, ...]]:
    """Return those of the values at `paths` that are empty for `recipient`."""
    values = make_values(recipient, "sender", "url")
    # The time is Liquid's own; `client` alone is looped over, not printed.
    known = [path for path in paths if path[0] not in {"now", "today"} and path != ("client",)]
    return [path for path in known if not lookup(path, values).strip()]


def message_id(run_uuid: UUID, delivery_id: int, domain: str) -> str:
    """Return the Message-ID of a delivery, the same on every attempt."""
    return f"<{uuid5(run_uuid, str(delivery_id))}@{domain}>"


class Parts:
    """The subject and the bodies of a content, each ready to be filled in."""

    def __init__(self, content: Content) -> None:
        compiled = compile_content(content)
        self.subject = Filler(compiled.subject, escape=False)
        self.text = Filler(compiled.text, escape=False)
        self.html = Filler(compiled.html, escape=True) if compiled.html else None

    def fill_subject(self, values: Mapping[str, object]) -> str:
        """Return the subject as one line; raises TemplateError."""
        return mime.clean_line(self.subject.fill(values).decode("utf-8"))

    def show(self, values: Mapping[str, object]) -> Rendered:
        """Return the letter as its reader sees it; raises TemplateError."""
        html = self.html.fill(values) if self.html else b""
        text = self.text.fill(values)
        return Rendered(self.fill_subject(values), read_lines(text), read_lines(html))


def preview(
    content: Content,
    recipient: Recipient,
    *,
    sender_name: str = "",
    unsubscribe_url: str = EXAMPLE_UNSUBSCRIBE_URL,
) -> Rendered:
    """Return the letter that `recipient` would get; raises TemplateError."""
    return Parts(content).show(make_values(recipient, sender_name, unsubscribe_url))


def read_lines(body: bytes) -> str:
    return body.decode("utf-8").replace("\r\n", "\n")


class LetterTemplate:
    """A run's content, compiled once; per recipient only values are filled in and encoded.

    `list_id` is a dotted name without angle brackets (RFC 2919). No Auto-Submitted: a person wrote
    the letter (RFC 3834 section 5.1); List-Id and Precedence already keep automatic answers away.
    """

    def __init__(self, content: Content, sender: Sender, run_uuid: UUID, list_id: str) -> None:
        self.parts = Parts(content)
        self.sender_name = mime.clean_line(sender.name)
        self.run_uuid = run_uuid
        self.domain = sender.address.rpartition("@")[2]
        # No line of base64 begins with a hyphen, so the boundary cannot occur in a part.
        boundary = f"=_{run_uuid.hex}".encode("ascii")
        self.start = b"From: " + mime.encode_mailbox(sender.name, sender.address)
        if sender.reply_to:
            self.start += b"\r\nReply-To: " + mime.check_address(sender.reply_to).encode("ascii")
        self.list_headers = (
            b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"
            b"\r\nList-Id: <" + mime.check_list_id(list_id).encode("ascii") + b">"
            b"\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n"
        )
        if self.parts.html is None:
            self.before_text = mime.part_head("plain")
            self.between = b""
            self.after = b"\r\n"
        else:
            self.before_text = (
                b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n'
                b"--" + boundary + b"\r\n" + mime.part_head("plain")
            )
            self.between = b"\r\n--" + boundary + b"\r\n" + mime.part_head("html")
            self.after = b"\r\n--" + boundary + b"--\r\n"

    def render(self, delivery_id: int, recipient: Recipient, unsubscribe_url: str, now: datetime) -> bytes:
        """Return one delivery's letter with CRLF line ends; raises TemplateError."""
        values = make_values(recipient, self.sender_name, unsubscribe_url)
        identity = message_id(self.run_uuid, delivery_id, self.domain)
        to = mime.encode_mailbox(recipient.name, recipient.email)
        return self.write(to, self.parts.fill_subject(values), values, identity, now)

    def write(
        self, to: bytes, subject: str, values: Mapping[str, object], identity: str, now: datetime
    ) -> bytes:
        html = self.parts.html
        pieces = [
            self.start,
            b"\r\nTo: ",
            to,
            b"\r\nSubject: ",
            mime.encode_text(subject),
            b"\r\nDate: ",
            mime.encode_date(now),
            b"\r\nMessage-ID: ",
            identity.encode("ascii"),
            b"\r\nList-Unsubscribe: <",
            mime.check_url(str(values["unsubscribe_url"])).encode("ascii"),
            b">",
            self.list_headers,
            self.before_text,
            mime.encode_body(self.parts.text.fill(values)),
        ]
        if html is not None:
            pieces += self.between, mime.encode_body(html.fill(values))
        pieces.append(self.after)
        return b"".join(pieces)


def render_test_letter(message: Message, client: Client | None, user: User) -> bytes:
    """Return a letter to `user` with the values of `client`, or of an example.

    Its unsubscribe link belongs to nobody; raises TemplateError.
    """
    recipient = make_recipient(client) if client is not None else EXAMPLE
    address = parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1]
    sender = Sender(user.sender_name, address, user.email)
    identity = uuid4()
    template = LetterTemplate(
        Content(message.subject, message.format, message.body),
        sender,
        identity,
        f"test.{address.rpartition('@')[2]}",
    )
    values = make_values(recipient, template.sender_name, unsubscribe_url("example"))
    return template.write(
        mime.encode_mailbox(user.name, user.email),
        f"[test] {template.parts.fill_subject(values)}",
        values,
        message_id(identity, 0, template.domain),
        utcnow(),
    )
