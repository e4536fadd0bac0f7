"""The owner's decisions about a file: its encoding and its column mapping."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skymailing.clients.columns import (
    Columns,
    Rows,
    make_columns,
    parse_field,
    recognize_fields,
)
from skymailing.clients.fields import REPEATABLE, Field, simplify
from skymailing.clients.recipes import find_recipe
from skymailing.clients.statuses import Standing
from skymailing.errors import UserError


class InvalidMapping(UserError):
    """The fields that the owner chose contradict each other, or do not fit the file."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """Decisions about a file, so that each reading has the same result. Missing ones are detected."""

    encoding: str | None = None
    fields: tuple[str, ...] = ()  # one for each column
    standing: int | None = None  # applies to all rows
    tag: str = ""  # for all clients; several tags are separated by commas
    # Fields of some columns, by header; not stored, since `fields` then contains them.
    chosen: tuple[tuple[str, str], ...] = ()

    @classmethod
    def load(cls, stored: dict[str, Any] | None) -> "Mapping":
        """Return the mapping that `dump` returned; imports stored by earlier versions have none."""
        values = stored or {}
        fields = tuple(values.get("fields", ()))
        return cls(values.get("encoding"), fields, values.get("standing"), values.get("tag", ""))

    def dump(self) -> dict[str, Any]:
        """Return the mapping as stored with an import."""
        values = {"encoding": self.encoding, "fields": list(self.fields), "standing": self.standing}
        return values | ({"tag": self.tag} if self.tag else {})


def apply_mapping(mapping: Mapping, headers: Sequence[str], rows: Rows) -> Columns:
    """Return the columns as mapped, or else as recognized; raises NoAddressColumn or InvalidMapping."""
    if len(mapping.fields) == len(headers):
        return make_columns(headers, mapping.fields, Standing(mapping.standing or 0))
    recipe = find_recipe(headers)
    standing, name = (recipe.standing, recipe.name) if recipe else (Standing.MAILABLE, "")
    if mapping.standing is not None:
        standing = Standing(mapping.standing)
    fields = choose_fields(mapping.chosen, headers, recognize_fields(headers, rows))
    return make_columns(headers, fields, standing, name)


def choose_fields(
    chosen: Sequence[tuple[str, str]], headers: Sequence[str], recognized: Sequence[str]
) -> list[str]:
    """Return the recognized fields, changed as chosen; raises InvalidMapping."""
    fields = list(recognized)
    simplified = [simplify(header) for header in headers]
    for header, name in chosen:
        if simplify(header) not in simplified:
            raise InvalidMapping("import_unknown_column", name=header)
        field = parse_field(name) or parse_field(f"{Field.ATTRIBUTE}:{name}")
        if field is None:
            raise InvalidMapping("import_unknown_field", name=name)
        if field not in REPEATABLE:
            fields = [Field.ATTRIBUTE if other == field else other for other in fields]
        fields[simplified.index(simplify(header))] = field
    return fields


def check_mapping(fields: Sequence[str]) -> None:
    """Raise InvalidMapping unless a column has the addresses and no unique field is repeated."""
    if Field.EMAIL not in fields:
        raise InvalidMapping("import_no_address_chosen")
    if any(fields.count(name) > 1 for name in set(fields) - REPEATABLE if not name.startswith("attribute:")):
        raise InvalidMapping("import_field_twice")
