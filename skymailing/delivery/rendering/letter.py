"""Render a message for a client: the bytes for DATA, before dots are doubled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from flask import current_app

from skymailing.delivery.rendering import mime
from skymailing.delivery.rendering.attachments import encode_files
from skymailing.delivery.rendering.compiled_part import CompiledPart, make_part
from skymailing.delivery.rendering.content import (
    Content,
    PageEdit,
    TemplateError,
    check_content,
    compile_content,
    keep_page,
)
from skymailing.delivery.rendering.dkim import Signer
from skymailing.delivery.rendering.flags import NO_FLAGS, Flag, Flags, find_flags, make_flag_values
from skymailing.delivery.rendering.framing import make_frame
from skymailing.delivery.rendering.letter_links import make_letter_token
from skymailing.delivery.rendering.liquid import look_up
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.delivery.rendering.values import DEFAULT_FORMATS, ValueFormats
from skymailing.models import Client
from skymailing.web.urls import EXAMPLE_BROWSER_URL, EXAMPLE_UNSUBSCRIBE_URL, browser_url, preferences_url

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
    "get_configured_mailboxes",
    "make_recipient",
    "preview",
]


Readers = Mapping[str, Callable[[str], str]]


class Recipient(NamedTuple):
    """The recipient of a letter, with the values for its placeholders."""

    email: str
    name: str
    attributes: Mapping[str, str]
    counts_opens: bool = False  # whether the letter may have the tracking image
    flags: Flags = NO_FLAGS  # the conditions on tags and segments that hold


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a letter: name and address in From, and the address for replies."""

    name: str
    address: str
    reply_to: str
    owner_id: int = 0
    # The mailbox to which an email unsubscribes its sender; empty if there is none.
    unsubscribe_mailbox: str = ""
    # The mailbox to which providers may report complaints; empty if there is none.
    complaint_mailbox: str = ""
    # Signs letters from the address's domain; None if the mail server signs them.
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter as the recipient sees it; `html` is empty for a plain-text message."""

    subject: str
    text: str
    html: str


# RFC 8058: only over HTTPS.
ONE_CLICK = b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"
# The last part of Feedback-ID, by which Gmail's Postmaster Tools group complaints; the same in all letters.
FEEDBACK_SENDER = "skymailing"
EXAMPLE = Recipient("anna@example.com", "Anna Example", {})


def make_recipient(client: Client) -> Recipient:
    """Convert a client to the recipient of a letter."""
    return Recipient(client.email, client.full_name, client.attributes)


def make_values(
    recipient: Recipient,
    sender_name: str,
    unsubscribe_url: str,
    readers: Readers | None = None,
    *,
    browser_url: str = EXAMPLE_BROWSER_URL,
) -> dict[str, object]:
    """Return the values of placeholders; a client's fields override attributes of the same name.

    Empty values are None: in Liquid an empty string is true, but `{% if client.city %}` means "has a city".
    """
    name, email = recipient.name or None, recipient.email
    attributes = recipient.attributes
    if not all(attributes.values()):
        attributes = {key: value for key, value in attributes.items() if value}
    client = {**attributes, "name": name, "full_name": name, "email": email}
    for key, read in readers.items() if readers else ():
        if text := client.get(key):
            client[key] = read(text)
    values: dict[str, object] = {
        "name": name,
        "email": email,
        "client": client,
        "unsubscribe_url": unsubscribe_url,
        "preferences_url": preferences_url(unsubscribe_url),
        "browser_url": browser_url,
        "sender_name": sender_name,
    }
    return values | make_flag_values(recipient.flags) if recipient.flags else values


def find_empty(paths: list[tuple[str, ...]], recipient: Recipient) -> list[tuple[str, ...]]:
    """Return the `paths` whose values are empty for `recipient`."""
    values = make_values(recipient, "sender", "url")
    # Liquid provides `now` and `today`; `client` alone is looped over, not printed.
    known = [path for path in paths if path[0] not in {"now", "today"} and path != ("client",)]
    return [path for path in known if not look_up(path, values).strip()]


class CompiledContent:
    """The compiled subject and bodies of a message."""

    def __init__(
        self, content: Content, formats: ValueFormats = DEFAULT_FORMATS, edit_page: PageEdit = keep_page
    ) -> None:
        compiled = compile_content(content, edit_page)
        self.subject = CompiledPart(compiled.subject, escape=False, formats=formats)
        self.text = make_part(compiled.text, compiled.text_footer, formats, is_html=False)
        self.html = None
        if compiled.html:
            self.html = make_part(compiled.html, compiled.html_footer, formats, is_html=True)
        self.readers = formats.choose_readers(
            path for part in self.list_parts() for path in part.parsed.variables if part.nodes
        )

    @property
    def flags(self) -> list[Flag]:
        """The conditions on tags and segments in the parts."""
        return find_flags(path for part in self.list_parts() for path in part.parsed.variables)

    def list_parts(self) -> list[CompiledPart]:
        """Return the subject and the bodies."""
        return [part for part in (self.subject, self.text, self.html) if part is not None]

    def uses(self, name: str) -> bool:
        """Return whether a part uses the value with this name."""
        return any(path[0] == name for part in self.list_parts() for path in part.parsed.variables)

    def fill_subject(self, values: Mapping[str, object]) -> str:
        """Render the subject as one line; raises TemplateError."""
        return mime.clean_line(self.subject.fill(values).decode("utf-8"))

    def render(self, values: Mapping[str, object]) -> Rendered:
        """Render the letter as the recipient sees it; raises TemplateError."""
        html = self.html.fill(values) if self.html else b""
        text = self.text.fill(values)
        return Rendered(self.fill_subject(values), decode_body(text), decode_body(html))


def preview(
    content: Content,
    recipient: Recipient,
    *,
    sender_name: str = "",
    unsubscribe_url: str = EXAMPLE_UNSUBSCRIBE_URL,
    formats: ValueFormats = DEFAULT_FORMATS,
) -> Rendered:
    """Render the letter that `recipient` would receive; raises TemplateError."""
    parts = CompiledContent(content, formats)
    return parts.render(make_values(recipient, sender_name, unsubscribe_url, parts.readers))


def decode_body(body: bytes) -> str:
    return body.decode("utf-8").replace("\r\n", "\n")


class LetterTemplate:
    """A run's content, compiled once; for each recipient, only the values are filled in and encoded.

    `list_id` is a dotted name without angle brackets (RFC 2919). There is no Auto-Submitted header: a
    person wrote the letter (RFC 3834, section 5.1). List-Id and Precedence already prevent auto-replies.
    """

    def __init__(
        self,
        content: Content,
        sender: Sender,
        run: RunIdentity,
        list_id: str,
        formats: ValueFormats = DEFAULT_FORMATS,
    ) -> None:
        edit_page = run.tracking.edit if run.tracking else keep_page
        self.parts = CompiledContent(content, formats, edit_page)
        self.flags = self.parts.flags
        self.sender_name = mime.clean_line(sender.name)
        self.run = run
        self.run_mark = run.mark
        self.tracking = run.tracking
        # The beginning of a letter's link to its browser version; empty if letters have no such link.
        self.link_start = browser_url("") if run.link_key and self.parts.uses("browser_url") else ""
        self.signer = sender.signer
        self.domain = sender.address.rpartition("@")[2]
        self.start = b"From: " + mime.encode_mailbox(sender.name, sender.address)
        if sender.reply_to:
            self.start += b"\r\nReply-To: " + mime.check_address(sender.reply_to).encode("ascii")
        self.mailto = b""
        if sender.unsubscribe_mailbox:
            mailbox = mime.check_address(sender.unsubscribe_mailbox).encode("ascii")
            self.mailto = b",\r\n <mailto:" + mailbox + b"?subject=unsubscribe%20"
        list_name = mime.check_list_id(list_id)
        kind, _hyphen, number = list_name.partition(".")[0].partition("-")
        feedback = f"{number and f'm{number}'}:u{sender.owner_id}:{kind}:{FEEDBACK_SENDER}"
        complaints = mime.format_complaint_address(sender.address, sender.complaint_mailbox)
        report = f"\r\nFeedback-ID: {feedback}{complaints}"
        self.list_headers = self.format_headers(list_name, report).encode("ascii")
        # These boundaries cannot occur in a part: base64 has no hyphen, quoted-printable no "=_" or "=f_",
        # and authors do not know a run's UUID.
        boundary, files_boundary = f"=_{run.uuid.hex}".encode("ascii"), f"=f_{run.uuid.hex}".encode("ascii")
        self.tail = encode_files(content.files, files_boundary)
        self.frame = make_frame(
            boundary, files_boundary if content.files else b"", has_html=self.parts.html is not None
        )

    def format_headers(self, list_name: str, report: str) -> str:
        """Return the headers that are the same in all letters."""
        return f"\r\nList-Id: <{list_name}>{report}\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n"

    def render(self, delivery_id: int, recipient: Recipient, unsubscribe_url: str, now: datetime) -> bytes:
        """Render one delivery's letter with CRLF line endings, up to `tail`; raises TemplateError."""
        values = make_values(recipient, self.sender_name, unsubscribe_url, self.parts.readers)
        if self.link_start:
            token = make_letter_token(delivery_id, self.run_mark, self.run.link_key)
            values["browser_url"] = self.link_start + token
        if self.tracking:
            self.tracking.add_values(values, delivery_id, recipient.counts_opens)
        identity = self.run.make_message_id(delivery_id, self.domain)
        to = mime.encode_mailbox(recipient.name, recipient.email)
        return self.assemble(to, self.parts.fill_subject(values), values, identity, now)

    def assemble(
        self, to: bytes, subject: str, values: Mapping[str, object], identity: str, now: datetime
    ) -> bytes:
        """Join the headers and the rendered bodies, without `tail`; raises TemplateError."""
        html = self.parts.html
        is_last = html is None and not self.tail.content
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
            *self.encode_list_headers(values),
            self.frame.before_text,
            *mime.encode_part(self.parts.text.fill(values), is_last=is_last),
        ]
        if html is not None:
            pieces += self.frame.between, *mime.encode_part(html.fill(values), is_last=False)
        pieces.append(self.frame.after)
        letter = b"".join(pieces)
        return self.signer.sign(letter, now, self.tail.relaxed) if self.signer else letter

    def encode_list_headers(self, values: Mapping[str, object]) -> tuple[bytes, ...]:
        url = str(values["unsubscribe_url"])
        return b"\r\nList-Unsubscribe: ", self.encode_unsubscribe(url), self.list_headers

    def encode_unsubscribe(self, url: str) -> bytes:
        """Encode List-Unsubscribe's value, and the header for one-click unsubscribe (RFC 2369, RFC 8058)."""
        link = mime.check_url(url).encode("ascii")
        value = b"<" + link + b">"
        if self.mailto:
            value += self.mailto + link.rpartition(b"/")[2] + b">"
        return value + ONE_CLICK if url.startswith("https://") else value


def get_configured_mailboxes() -> tuple[str, str]:
    """Return the mailboxes for unsubscribing and for complaints; empty if there are none."""
    return current_app.config["UNSUBSCRIBE_MAILBOX"], current_app.config["COMPLAINT_MAILBOX"]
