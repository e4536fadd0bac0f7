"""Render letters and parse them as a mail client that follows the RFCs does."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from uuid import UUID

from skymailing.delivery.rendering.letter import Content, LetterTemplate, Recipient, Sender
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.models import MessageFormat

RUN = RunIdentity(UUID("12345678-1234-5678-1234-567812345678"), b"key")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
URL = "https://sky.example/u/token"
SENDER = Sender("ООО «Небо»", "letters@sky.example", "owner@example.com")
ANN = Recipient("ann@xn--e1afmkfd.example", "Анна Петрова", {"city": "Казань"})
TEXT, HTML, MARKDOWN = MessageFormat.TEXT, MessageFormat.HTML, MessageFormat.MARKDOWN


def render(content: Content, recipient: Recipient = ANN, sender: Sender = SENDER) -> bytes:
    template = LetterTemplate(content, sender, RUN, "mailing-7.sky.example")
    return template.render(42, recipient, URL, NOW)


def parse_valid(letter: bytes) -> EmailMessage:
    """Parse a letter; check the rules that apply to every letter."""
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", letter) is None
    assert all(len(line) <= 998 for line in letter.split(b"\r\n"))
    parsed = message_from_bytes(letter, policy=policy.default)
    assert not parsed.defects
    assert isinstance(parsed, EmailMessage)
    return parsed


def get_body(parsed: EmailMessage, kind: str) -> str:
    part = parsed.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def get_display_name(letter: bytes, header: str) -> str:
    """Return a display name.

    The newer parser in Python 3.11 leaves a space between encoded words in names, contrary to RFC 2047
    section 6.2; the older one does not.
    """
    name, _ = parseaddr(message_from_bytes(letter)[header])
    return str(make_header(decode_header(name)))
