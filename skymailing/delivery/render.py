"""A message and a client make a letter: bytes, ready for DATA before dot-stuffing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from skymailing.delivery.content import Content, TemplateError, check_content
from skymailing.models import Client, Message, User

__all__ = [
    "Content",
    "LetterTemplate",
    "Recipient",
    "Rendered",
    "Sender",
    "TemplateError",
    "check_content",
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


def preview(content: Content, recipient: Recipient) -> Rendered:
    """Return the letter that `recipient` would get; raises TemplateError."""
    raise NotImplementedError


def message_id(run_uuid: UUID, delivery_id: int, domain: str) -> str:
    """Return the Message-ID of a delivery, the same on every attempt."""
    raise NotImplementedError


class LetterTemplate:
    """A run's content, compiled once; per recipient only values are filled in and encoded."""

    def __init__(self, content: Content, sender: Sender, run_uuid: UUID, list_id: str) -> None:
        raise NotImplementedError

    def render(self, delivery_id: int, recipient: Recipient, unsubscribe_url: str, now: datetime) -> bytes:
        """Return one delivery's letter with CRLF line ends; raises TemplateError."""
        raise NotImplementedError


def render_test_letter(message: Message, client: Client | None, user: User) -> bytes:
    """Return a letter to `user` with the values of `client`, or of an example."""
    raise NotImplementedError
