"""Parse cells with more than one plain value: addresses with names, tags, JSON."""

import json
import re
from collections.abc import Sequence
from typing import Any

from skymailing.clients.columns import attribute_key
from skymailing.email_addresses import MARGIN, InvalidEmail, parse_recipient

VALUE_SEPARATOR = " ::: "  # Google puts several values into one cell
# Common ways to write an address: `Anna <anna@example.com>`, `mailto:anna@example.com?subject=`.
NAMED_ADDRESS = re.compile(r"(?P<name>[^<>@\r\n]*)<\s*(?:mailto:)?(?P<address>[^<>]*)>[\s;,]*", re.IGNORECASE)
LINK = re.compile(r"mailto:(?P<address>[^?]*)(?:\?.*)?", re.IGNORECASE)
QUOTES = "\"'«»“”„`"
X500 = ("/o=", "/O=")  # how Outlook begins the address of a colleague on the same Exchange server
# Placeholders that programs write for a missing value, such as Outlook's empty date.
BLANKS = {"0/0/00", "Unspecified"}
TAG_SEPARATORS = (VALUE_SEPARATOR.strip(), "|", ";", ",")
QUOTED_TAG = re.compile(r'"((?:[^"]|"")*)"')
SYSTEM_TAGS = {"mycontacts", "starred"}


def read_address(cell: str) -> tuple[str, str, str]:
    """Return the address in a cell, the name next to it, and other addresses; raises InvalidEmail."""
    try:
        return parse_recipient(cell), "", ""
    except InvalidEmail:
        first, _sign, others = cell.partition(VALUE_SEPARATOR)
        text = first.strip(MARGIN)
        if text.startswith(X500):
            return parse_recipient(""), "", ""
        name = ""
        if named := NAMED_ADDRESS.fullmatch(text):
            name, text = named["name"].strip(MARGIN + QUOTES), named["address"]
        elif link := LINK.fullmatch(text):
            text = link["address"]
        else:
            text = text.strip(MARGIN + QUOTES + "<>;,")
        if text == cell:
            raise
        return parse_recipient(text), name, others.strip()


def read_tags(cell: str) -> list[str]:
    """Return the tags in a cell, with any common separator, without tags that programs add."""
    if cell.lstrip().startswith('"') and (quoted := QUOTED_TAG.findall(cell)):
        parts = [tag.replace('""', '"') for tag in quoted]
    else:
        separator = next((sign for sign in TAG_SEPARATORS if sign in cell), ",")
        parts = [part.strip(MARGIN).removeprefix("* ") for part in cell.split(separator)]
        parts = [part for part in parts if part.lstrip("* ").lower() not in SYSTEM_TAGS]
    tags = (" ".join(part.strip(MARGIN).split()) for part in parts)
    return list(dict.fromkeys(tag for tag in tags if tag))


def write_tags(names: Sequence[str]) -> str:
    """Return a cell from which `read_tags` reads the names."""
    if all(read_tags(name) == [name] and '"' not in name for name in names):
        return ", ".join(names)
    return ",".join('"{}"'.format(name.replace('"', '""')) for name in names)


def flatten_json(cell: str) -> dict[str, str] | None:
    """Return the values of a JSON object by attribute key; None if the cell contains no object."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    values: dict[str, str] = {}
    _flatten("", value, values)
    return values


def _flatten(prefix: str, value: dict[str, Any], values: dict[str, str]) -> None:
    for name, item in value.items():
        key = attribute_key(f"{prefix}_{name}" if prefix else name)
        if isinstance(item, dict):
            _flatten(f"{prefix}_{name}" if prefix else name, item, values)
        elif key:
            values[key] = _as_text(item)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(_as_text(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
