"""Recognize the columns of a table by the program that wrote it, by headers and by cell contents."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from skymailing.clients.fields import (
    FIELD_NAMES,
    FIRST_OR_FULL,
    NAME_FIELDS,
    OPT_OUT_NAMES,
    STATUS_NAMES,
    Field,
    simplify,
)
from skymailing.clients.recipes import OWN_FIELDS, Recipe, find_recipe, is_own_export
from skymailing.clients.statuses import Standing, read_status
from skymailing.errors import UserError

ATTRIBUTE_KEY_MAX_LENGTH = 50
ATTRIBUTE_PREFIX = f"{Field.ATTRIBUTE}:"

# Columns of the file with rejected rows, which users correct and import again.
REJECTED_LINE = "rejected_line"
REJECTED_REASON = "rejected_reason"

# Keys such as `name` already have a meaning in letters: {{ client.name }}.
RESERVED_KEYS = {"email", "name", "full_name", "comment"}
# Words that Liquid does not accept as a name after the dot (python-liquid's keywords), or evaluates
# itself (size, first, last).
LIQUID_WORDS = set(
    "and or not contains true false nil null empty blank in if else for continue with as by reversed "
    "limit offset cols required size first last".split()
)
ADDRESS = re.compile(r"[^\s<>@,;\"]+@[^\s<>@,;\"]+\.[^\s<>@,;\"]+")
POSTAL_NAMES = {"адрес", "address", "почтовыйадрес"}
Rows = Sequence[Sequence[str]]
# An example file, which users see and can download.
SAMPLE = (
    ("email", "full_name", "comment", "city", "birthday"),
    ("anna@example.com", "Анна Петрова", "VIP", "Омск", "1990-05-17"),
    ("john@example.org", "John Smith", "", "London", ""),
)


class NoAddressColumn(UserError):
    """No column of the table seems to contain email addresses."""

    def __init__(self, headers: Sequence[str]) -> None:
        names = [header.strip()[:50] for header in headers[:20] if header.strip()]
        super().__init__("import_no_address_column", found=", ".join(f"“{name}”" for name in names) or "–")


@dataclass(frozen=True, slots=True)
class Columns:
    """The field of each column; `attributes` maps positions to keys, including names."""

    headers: list[str]
    fields: list[str]
    attributes: dict[int, str]
    standing: Standing = Standing.MAILABLE  # applies to all rows
    recipe: str = ""

    def find(self, name: str) -> list[int]:
        """Return the positions of the columns with this field."""
        return [position for position, field_ in enumerate(self.fields) if field_ == name]

    @property
    def email(self) -> int:
        return self.find(Field.EMAIL)[0]

    @property
    def full_name(self) -> int | None:
        return next(iter(self.find(Field.FULL_NAME)), None)

    @property
    def comment(self) -> int | None:
        return next(iter(self.find(Field.COMMENT)), None)

    @property
    def timezone(self) -> int | None:
        return next(iter(self.find(Field.TIMEZONE)), None)


def recognize_columns(headers: Sequence[str], rows: Rows = ()) -> Columns:
    """Map the columns to fields, based on headers and some rows; raises NoAddressColumn."""
    recipe = find_recipe(headers)
    standing, name = (recipe.standing, recipe.name) if recipe else (Standing.MAILABLE, "")
    return make_columns(headers, recognize_fields(headers, rows), standing, name)


def recognize_fields(headers: Sequence[str], rows: Rows = ()) -> list[str]:
    """Return the most likely field of each column, without EMAIL if there is none."""
    if is_own_export(headers):
        others: list[str] = [
            Field(header) if header in OWN_FIELDS else Field.ATTRIBUTE for header in headers[3:]
        ]
        if others.count(Field.TIMEZONE) > 1:  # the first is our own column, the other a custom field
            first = others.index(Field.TIMEZONE) + 1
            others[first:] = [Field.ATTRIBUTE if name == Field.TIMEZONE else name for name in others[first:]]
        return [Field.EMAIL, Field.FULL_NAME, Field.COMMENT, *others]
    recipe = find_recipe(headers)
    if recipe is None:
        return guess_fields(headers, rows)
    fields = [apply_recipe(recipe, header) for header in headers]
    has_name = {Field.FULL_NAME, *NAME_FIELDS} & set(fields)
    return fields if has_name else add_named_fields(headers, fields)


def make_columns(
    headers: Sequence[str],
    fields: Sequence[str],
    standing: Standing = Standing.MAILABLE,
    recipe: str = "",
) -> Columns:
    """Return the columns with these fields; raises NoAddressColumn."""
    if Field.EMAIL not in fields:
        raise NoAddressColumn(headers)
    return Columns(list(headers), list(fields), name_attributes(headers, fields), standing, recipe)


def apply_recipe(recipe: Recipe, header: str) -> str:
    simplified = simplify(header)
    return recipe.find_field(simplified) or OPT_OUT_NAMES.get(simplified) or Field.ATTRIBUTE


def guess_fields(headers: Sequence[str], rows: Rows) -> list[str]:
    """Return the most likely field of each column, without EMAIL if there is none."""
    simplified = [simplify(header) for header in headers]
    fields: list[str] = [guess_repeatable(simplified[i], list_cells(rows, i)) for i in range(len(headers))]
    for i, header in enumerate(headers):
        if is_rejection_column(header):
            fields[i] = Field.SKIP
    email = find_address_column(simplified, rows)
    if email is not None:
        fields[email] = Field.EMAIL
    return add_named_fields(headers, fields)


def add_named_fields(headers: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Add the fields of unassigned columns whose headers name part of a person's data; return all fields."""
    fields = list(fields)
    simplified = [simplify(header) for header in headers]
    for name, spellings in FIELD_NAMES.items():
        free = [header if fields[i] == Field.ATTRIBUTE else "" for i, header in enumerate(simplified)]
        position = find_column(free, spellings)
        if position is not None and name is not Field.EMAIL and name not in fields:
            fields[position] = name
    if Field.LAST_NAME in fields and Field.FIRST_NAME not in fields:
        fields = [
            Field.FIRST_NAME if name == Field.FULL_NAME and simplified[i] in FIRST_OR_FULL else name
            for i, name in enumerate(fields)
        ]
    return fields


def guess_repeatable(header: str, cells: list[str]) -> str:
    """Return the field of a column with statuses, opt-outs or JSON, and ATTRIBUTE for all others."""
    if header in OPT_OUT_NAMES:
        return OPT_OUT_NAMES[header]
    if header in STATUS_NAMES and cells and all(read_status(cell) is not None for cell in cells):
        return Field.STATUS
    if cells and all(cell.startswith("{") and cell.endswith("}") for cell in cells):
        return Field.JSON
    return Field.ATTRIBUTE


def list_cells(rows: Rows, position: int) -> list[str]:
    """Return the column's non-empty cells."""
    return [cell for row in rows if position < len(row) and (cell := row[position].strip())]


def find_address_column(simplified: list[str], rows: Rows) -> int | None:
    """Return the column with email addresses: by its header if its cells fit, otherwise by its cells."""
    named = [
        *(i for name in FIELD_NAMES[Field.EMAIL] for i, header in enumerate(simplified) if header == name),
        *(i for i, header in enumerate(simplified) if "email" in header or "почт" in header),
    ]
    shares = [rate_addresses(list_cells(rows, i)) for i in range(len(simplified))]
    order = [*named, *(i for i in range(len(simplified)) if i not in named)]
    best = max(order, key=lambda i: shares[i] or 0, default=None)
    trusted = next((i for i in named if (share := shares[i]) is None or share >= 0.5), None)
    if trusted is not None and shares[trusted] is not None:
        return trusted
    if best is not None and (shares[best] or 0) >= 0.5:
        return best
    # Invalid addresses in a column named "email" must be reported, unlike streets in one named "address".
    return next((i for i in named if simplified[i] not in POSTAL_NAMES or shares[i] is None), None)


def rate_addresses(cells: list[str]) -> float | None:
    """Return the share of the cells that contain an address; None if there are no cells."""
    return sum(ADDRESS.search(cell) is not None for cell in cells) / len(cells) if cells else None


def find_column(simplified: list[str], names: Sequence[str]) -> int | None:
    for name in names:
        if name in simplified:
            return simplified.index(name)
    return None


def is_rejection_column(header: str) -> bool:
    return header.strip() in (REJECTED_LINE, REJECTED_REASON)


def parse_field(text: str) -> str | None:
    """Return the field as stored, such as `email` or `attribute:city`; None if there is no such field."""
    name, _colon, key = text.strip().partition(":")
    if name == Field.ATTRIBUTE and key:
        return f"{ATTRIBUTE_PREFIX}{attribute_key(key)}" if attribute_key(key) else None
    return name if name in set(Field) else None


def name_attributes(headers: Sequence[str], fields: Sequence[str]) -> dict[int, str]:
    """Return the attribute key of each column whose cells are stored as an attribute, by position."""
    keys: dict[int, str] = {}
    for i, name in enumerate(fields):
        if name in NAME_FIELDS:
            keys[i] = str(name)
        elif name.startswith(ATTRIBUTE_PREFIX):
            keys[i] = make_unique(name.removeprefix(ATTRIBUTE_PREFIX), set(keys.values()))
    unnamed = [i for i, name in enumerate(fields) if name in (Field.ATTRIBUTE, Field.OTHER_EMAIL)]
    # Headers that are already keys come first, so that importing an export changes no key.
    for i in sorted(unnamed, key=lambda i: attribute_key(headers[i]) != headers[i]):
        key = attribute_key(headers[i]) or f"column_{i + 1}"
        keys[i] = make_unique(key, set(keys.values()))
    return dict(sorted(keys.items()))


def attribute_key(name: str) -> str:
    """Return the name as written in {{ client.<key> }}; empty if no letter or digit remains.

    Liquid accepts letters of any alphabet, digits and _, but no spaces, symbols or keywords.
    """
    text = unicodedata.normalize("NFKC", name).lower()
    key = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", text)).strip("_")
    key = key[:ATTRIBUTE_KEY_MAX_LENGTH].strip("_")
    if key.isdigit():
        return f"column_{key}"[:ATTRIBUTE_KEY_MAX_LENGTH]
    if key in RESERVED_KEYS | LIQUID_WORDS:
        return f"{key}_2"
    return key


def make_unique(key: str, taken: set[str]) -> str:
    candidate, number = key, 2
    while candidate in taken:
        suffix = f"_{number}"
        candidate = key[: ATTRIBUTE_KEY_MAX_LENGTH - len(suffix)] + suffix
        number += 1
    return candidate
