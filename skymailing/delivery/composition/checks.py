"""Check single values of a design: each check returns the value to use, or raises InvalidSource."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.content import prepare
from skymailing.delivery.rendering.liquid import parse
from skymailing.delivery.rendering.liquid_tags import TemplateError

Check = Callable[[Any, str], Any]

COLOR = re.compile(r"#[0-9a-fA-F]{6}")
# Characters that no text needs, and halves of surrogate pairs, which cannot be stored.
UNUSABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
BREAKS = re.compile("[\n\u2028\u2029]")
MAX_URL = 2_000  # characters
SCHEMES = ("http://", "https://", "mailto:", "tel:")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a block: how its value is checked, and the value if it is missing."""

    check: Check
    default: Any = ""


def read_object(data: Any, pointer: str, fields: Mapping[str, Field], *extra: str) -> dict[str, Any]:
    """Return the values of an object with these fields; raises InvalidSource for others, except `extra`."""
    if not isinstance(data, dict):
        raise InvalidSource("design_not_object", pointer)
    for name in data:
        if name not in fields and name not in extra:
            raise InvalidSource("design_unknown_field", join(pointer, name), name=shorten(name))
    return {
        name: field.check(data[name], join(pointer, name)) if name in data else field.default
        for name, field in fields.items()
    }


def join(pointer: str, name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a value in the object or list at `pointer`."""
    return f"{pointer}/{shorten(name).replace('~', '~0').replace('/', '~1')}"


def shorten(text: str) -> str:
    return UNUSABLE.sub("", text[:50])


def text(limit: int, *, has_lines: bool = False) -> Check:
    """Check a text of at most `limit` characters; without lines, line breaks become spaces."""

    def check(value: Any, pointer: str) -> str:
        if not isinstance(value, str):
            raise InvalidSource("design_not_text", pointer)
        if len(value) > limit:
            raise InvalidSource("design_too_long", pointer, limit=limit)
        value = value.replace("\r\n", "\n").replace("\r", "\n")
        if UNUSABLE.search(value):
            raise InvalidSource("design_control_character", pointer)
        return value if has_lines else BREAKS.sub(" ", value)

    return check


def template(limit: int, *, has_lines: bool = False) -> Check:
    """Check a text that may contain Liquid, all of whose tags are closed in the same text."""
    check_text = text(limit, has_lines=has_lines)

    def check(value: Any, pointer: str) -> str:
        result: str = check_text(value, pointer)
        check_template(result, pointer)
        return result

    return check


def check_template(source: str, pointer: str) -> None:
    """Raise InvalidSource if the Liquid in a text has an error."""
    if "{" not in source and "%7" not in source:
        return
    try:
        parse(prepare(source), escape=False)
    except TemplateError as error:
        raise InvalidSource("design_template", pointer, template=error) from error


def url(value: Any, pointer: str) -> str:
    """Check a web address, email address or phone number; it may contain or consist of Liquid."""
    address: str = template(MAX_URL)(value, pointer).strip()
    begins_with_value = prepare(address).startswith("{{")
    if address and not begins_with_value and not address.lower().startswith(SCHEMES):
        raise InvalidSource("design_url", pointer)
    return address


def color(value: Any, pointer: str) -> str:
    """Check a colour, which may be empty."""
    if value == "":
        return ""
    if not isinstance(value, str) or not COLOR.fullmatch(value):
        raise InvalidSource("design_color", pointer)
    return value.lower()


def whole(least: int, most: int) -> Check:
    """Check a whole number between two limits."""

    def check(value: Any, pointer: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidSource("design_number", pointer, least=least, most=most)
        return value

    return check


def flag(value: Any, pointer: str) -> bool:
    """Check true or false."""
    if not isinstance(value, bool):
        raise InvalidSource("design_flag", pointer)
    return value


def one_of(*values: str) -> Check:
    """Check one of several names."""

    def check(value: Any, pointer: str) -> str:
        if not isinstance(value, str) or value not in values:
            raise InvalidSource("design_choice", pointer, values=", ".join(values))
        return value

    return check
