"""Render transactional letters, which a program sends to one person with its own values.

They are not mailings: they have no unsubscribe link, no footer, no tracking, and no browser version.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from skymailing.delivery.rendering import mime
from skymailing.delivery.rendering.content import LINK_NAMES, TAGS, Content, find_placeholders
from skymailing.delivery.rendering.letter import LetterTemplate, Readers, Recipient

# Names that the service fills in or has no value for, so that a program cannot use them for its own values.
RESERVED = frozenset({"name", "email", "sender_name", "now", "today", *LINK_NAMES})


def make_content(subject: str, format: Any, body: str, language: str) -> Content:
    """Return the content of a letter, which has no footer."""
    return Content(subject, format, body, language, has_footer=False)


def make_letter_values(
    recipient: Recipient, sender_name: str, readers: Readers | None = None
) -> dict[str, object]:
    """Return the values of placeholders: the program's, which are the recipient's attributes, and ours."""
    own: Mapping[str, Any] = recipient.attributes
    given = own.get("client")
    name = recipient.name or None
    client: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    client |= {"name": name, "full_name": name, "email": recipient.email}
    for key, read in readers.items() if readers else ():
        if isinstance(text := client.get(key), str) and text:
            client[key] = read(text)
    ours = {"name": name, "email": recipient.email, "client": client, "sender_name": sender_name}
    return {**own, **ours, **dict.fromkeys(LINK_NAMES)}


def find_links(content: Content) -> list[str]:
    """Return the placeholders for links that transactional letters do not have; raises TemplateError."""
    used = {path[0] for path in find_placeholders(content)}
    return [name for name in LINK_NAMES if name in used]


def prints_nothing(path: tuple[str, ...], values: Mapping[str, object]) -> bool:
    """Return whether a placeholder prints nothing."""
    if path[0] in ("now", "today") or path == TAGS[:1]:
        return False
    found = look_up_value(path, values)
    return found is None or found == [] or (isinstance(found, str) and not found.strip())


def look_up_value(path: tuple[str, ...], values: Mapping[str, object]) -> object:
    """Return the value at `path` as Liquid finds it, else None."""
    found: object = values
    for segment in path:
        if isinstance(found, Mapping):
            found = found[segment] if segment in found else len(found) if segment == "size" else None
        elif isinstance(found, list | str) and segment == "size":
            found = len(found)
        elif isinstance(found, list):
            number = {"first": 0, "last": -1}.get(segment, segment)
            try:
                found = found[int(number)]
            except (ValueError, IndexError):
                return None
        else:
            return None
    return found


class TransactionalTemplate(LetterTemplate):
    """The content of transactional letters, compiled once.

    A program sends them, so they are auto-generated (RFC 3834, section 5).
    """

    def format_headers(self, list_name: str, report: str) -> str:  # noqa: ARG002 - they belong to no list
        """Return the headers that are the same in all letters."""
        return f"\r\nAuto-Submitted: auto-generated{report}\r\nMIME-Version: 1.0\r\n"

    def encode_list_headers(self, values: Mapping[str, object]) -> tuple[bytes, ...]:  # noqa: ARG002
        return (self.list_headers,)

    def render(self, delivery_id: int, recipient: Recipient, _unsubscribe_url: str, now: datetime) -> bytes:
        """Render one delivery's letter with CRLF line endings; raises TemplateError."""
        values = make_letter_values(recipient, self.sender_name, self.parts.readers)
        to = mime.encode_mailbox(recipient.name, recipient.email)
        identity = self.run.make_message_id(delivery_id, self.domain)
        return self.assemble(to, self.parts.fill_subject(values), values, identity, now)
