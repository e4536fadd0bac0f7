"""Clean and validate clients' names, comments and attributes, which come from forms, files and the API."""

import re
from collections.abc import Iterable
from enum import StrEnum

from skymailing.clients.columns import attribute_key, make_unique
from skymailing.email_addresses import MARGIN
from skymailing.errors import UserError

NAME_MAX_LENGTH = 200
COMMENT_MAX_LENGTH = 10_000
ATTRIBUTE_MAX_LENGTH = 2_000
MAX_ATTRIBUTES = 100
# Control characters, lone surrogates, and the replacement character, which stands for unreadable text.
UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
SOFT_HYPHEN = "\u00ad"


class ValueFault(StrEnum):
    """The reason why a client's value is rejected; stored with rejected rows of imports."""

    NAME_TOO_LONG = "name_too_long"
    COMMENT_TOO_LONG = "comment_too_long"
    ATTRIBUTE_TOO_LONG = "attribute_too_long"
    TOO_MANY_ATTRIBUTES = "too_many_attributes"
    UNKNOWN_TIMEZONE = "unknown_timezone"


class InvalidValue(UserError):
    """A client's value is too long or unknown, or there are too many values."""

    def __init__(self, fault: ValueFault) -> None:
        super().__init__(f"client_{fault}")
        self.fault = fault


def clean_text(text: str) -> str:
    """Strip the text, remove unstorable characters, and end lines with \\n."""
    if text.isprintable() and "\ufffd" not in text:
        return text.strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return UNSTORABLE.sub("", text).strip(MARGIN)


def clean_name(text: str) -> str:
    """Return the cleaned name on one line; raises InvalidValue."""
    name = clean_text(text)
    if not name.isprintable():
        name = name.replace(SOFT_HYPHEN, "")
    name = " ".join(name.split())
    if len(name) > NAME_MAX_LENGTH:
        raise InvalidValue(ValueFault.NAME_TOO_LONG)
    return name


def clean_comment(text: str) -> str:
    """Return the cleaned comment; raises InvalidValue."""
    comment = clean_text(text)
    if len(comment) > COMMENT_MAX_LENGTH:
        raise InvalidValue(ValueFault.COMMENT_TOO_LONG)
    return comment


def clean_attribute(text: str) -> str:
    """Return the cleaned value of an attribute; raises InvalidValue."""
    value = clean_text(text)
    if len(value) > ATTRIBUTE_MAX_LENGTH:
        raise InvalidValue(ValueFault.ATTRIBUTE_TOO_LONG)
    return value


def clean_attributes(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the attributes by key, without empty ones; equal keys get numbers. Raises InvalidValue."""
    attributes: dict[str, str] = {}
    for name, text in pairs:
        key, value = attribute_key(name), clean_attribute(text)
        if key and value:
            attributes[make_unique(key, set(attributes))] = value
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidValue(ValueFault.TOO_MANY_ATTRIBUTES)
    return attributes
