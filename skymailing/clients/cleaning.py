"""What a client's name, comment and attributes may be, however they come in."""

import re
from collections.abc import Iterable
from enum import StrEnum

from flask_babel import lazy_gettext as _l

from skymailing.clients.columns import attribute_key, make_unique
from skymailing.errors import SkyMailingError

NAME_MAX_LENGTH = 200
COMMENT_MAX_LENGTH = 10_000
ATTRIBUTE_MAX_LENGTH = 2_000
MAX_ATTRIBUTES = 100
# Control characters, half an emoji, and the replacement character, which tells of letters already lost.
UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


class ValueFault(StrEnum):
    """Why a client's values cannot be taken."""

    NAME_TOO_LONG = "name_too_long"
    COMMENT_TOO_LONG = "comment_too_long"
    ATTRIBUTE_TOO_LONG = "attribute_too_long"
    TOO_MANY_ATTRIBUTES = "too_many_attributes"


VALUE_FAULTS = {
    ValueFault.NAME_TOO_LONG: _l("The name is longer than 200 characters."),
    ValueFault.COMMENT_TOO_LONG: _l("The comment is longer than 10,000 characters."),
    ValueFault.ATTRIBUTE_TOO_LONG: _l("A value is longer than 2,000 characters."),
    ValueFault.TOO_MANY_ATTRIBUTES: _l("There are more than 100 values."),
}


class InvalidValue(SkyMailingError):
    """A client's value is too long; its words are in the reader's language when they are read."""

    def __init__(self, fault: ValueFault) -> None:
        super().__init__(fault)
        self.fault = fault

    def __str__(self) -> str:
        return str(VALUE_FAULTS[self.fault])


def clean_text(text: str) -> str:
    """Return the text without what cannot be stored or seen, with plain line breaks, stripped."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return UNSTORABLE.sub("", text).strip()


def clean_name(text: str) -> str:
    """Return a name in one line; raises InvalidValue."""
    name = re.sub(r"\s+", " ", clean_text(text)).strip()
    if len(name) > NAME_MAX_LENGTH:
        raise InvalidValue(ValueFault.NAME_TOO_LONG)
    return name


def clean_comment(text: str) -> str:
    """Return a comment; raises InvalidValue."""
    comment = clean_text(text)
    if len(comment) > COMMENT_MAX_LENGTH:
        raise InvalidValue(ValueFault.COMMENT_TOO_LONG)
    return comment


def clean_attribute(text: str) -> str:
    """Return an attribute's value; raises InvalidValue."""
    value = clean_text(text)
    if len(value) > ATTRIBUTE_MAX_LENGTH:
        raise InvalidValue(ValueFault.ATTRIBUTE_TOO_LONG)
    return value


def clean_attributes(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return typed pairs by attribute key, without empty values; raises InvalidValue."""
    attributes: dict[str, str] = {}
    for name, text in pairs:
        key, value = attribute_key(name), clean_attribute(text)
        if key and value:
            attributes[make_unique(key, set(attributes))] = value
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidValue(ValueFault.TOO_MANY_ATTRIBUTES)
    return attributes
