"""Open a returned letter, once for all formats."""

import re
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header

from skymailing.delivery.rendering.message_ids import find_return_token
from skymailing.returns.parts import Headers, Part, get_header, read_headers, split_headers, split_letter
from skymailing.returns.reports import Quoted

# A quoted letter, or only its headers (RFC 3462, RFC 6533).
QUOTED_TYPES = frozenset(
    {
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
    }
)
MAX_TEXT = 64 * 1024
# In prose, the quoted headers follow a line such as "Below this line is a copy of the message".
QUOTED_HEADER = re.compile(
    r"^[> \t]{0,8}(Message-ID|List-Unsubscribe|Feedback-ID|To):[ \t]*"
    r"(\S[^\n]{0,2000}|\n[ \t]+\S[^\n]{0,2000})",
    re.IGNORECASE | re.MULTILINE,
)
# The place where the quoted letter begins in a text.
HEADERS_BEGIN = re.compile(
    r"^[> \t]{0,8}(received|return-path|message-id)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
# Headers in which mail servers write the recipient: Postfix's, Exim's, and the standard one.
RECIPIENT_HEADERS = ("delivered-to", "x-original-to", "envelope-to", "to")
MESSAGE_ID = re.compile(r"<[^<>\s]{1,200}>")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope from the mail server; the sender is "" for bounces, and None if it is not known."""

    sender: str | None = None
    recipients: tuple[str, ...] = ()

    def complete(self, headers: Headers) -> "Envelope":
        """Return the envelope, completed from the headers that the mail server added."""
        sender = self.sender
        if sender is None and "return-path" in headers:
            sender = get_header(headers, "return-path").strip("<> ")
        written = (get_header(headers, name) for name in RECIPIENT_HEADERS)
        return Envelope(sender, (*self.recipients, *filter(None, written)))


UNKNOWN_ENVELOPE = Envelope()


@dataclass(frozen=True, slots=True)
class OpenedLetter:
    """The headers and parts of a letter, its readable text, and the headers of our letter that it quotes.

    `sentences` is the text before the quoted letter, if the quoted letter is not a separate part.
    """

    raw: bytes
    headers: Headers
    parts: list[Part]
    sentences: str
    quoted: Quoted
    quoted_headers: Headers
    envelope: Envelope

    def find_part(self, *types: str) -> Part | None:
        """Return the first part of one of these types."""
        return next((part for part in self.parts if part.type in types), None)


def open_letter(raw: bytes, envelope: Envelope = UNKNOWN_ENVELOPE) -> OpenedLetter:
    """Split the letter, and find its text and the headers that it quotes."""
    headers, parts = split_letter(raw)
    envelope = envelope.complete(headers)
    texts = [part.read_text() for part in parts if part.type in ("text/plain", "text/html")]
    text = "\n".join(texts)[:MAX_TEXT]
    original = next((part for part in parts if part.type in QUOTED_TYPES), None)
    quoted_headers = split_headers(original.body)[0] if original else _find_headers(text)
    quoted = Quoted(
        get_header(quoted_headers, "message-id") or _find_reference(headers),
        get_header(quoted_headers, "list-unsubscribe"),
        get_header(quoted_headers, "feedback-id"),
        next(filter(None, map(find_return_token, envelope.recipients)), ""),
    )
    beginning = HEADERS_BEGIN.search(text)
    sentences = text[: beginning.start()] if beginning else text
    return OpenedLetter(raw, headers, parts, sentences, quoted, quoted_headers, envelope)


def read_subject(headers: Headers, limit: int) -> str:
    """Return the decoded subject, read from its first `limit` characters."""
    subject = get_header(headers, "subject")[:limit]
    try:
        decoded = str(make_header(decode_header(subject)))
    except (MessageError, LookupError, ValueError):
        return subject
    # Encoded words can contain NUL and lone surrogates, which databases do not store.
    return decoded.replace("\0", "").encode("utf-8", "replace").decode()


def _find_headers(text: str) -> Headers:
    return read_headers("\n".join(f"{name}: {value.strip()}" for name, value in QUOTED_HEADER.findall(text)))


def _find_reference(headers: Headers) -> str:
    """Return the ID of the letter that this one refers to; Exim and automatic replies set such headers."""
    for name in ("in-reply-to", "references"):
        if found := MESSAGE_ID.findall(get_header(headers, name)[:4000]):
            return str(found[-1])
    return ""
