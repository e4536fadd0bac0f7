"""What the owner decided about a file: its encoding, and what each column means."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from skymailing.clients.columns import Columns, Rows, make_columns, recognize_columns
from skymailing.clients.statuses import Standing


@dataclass(frozen=True, slots=True)
class Mapping:
    """Decisions about a file. What is empty is recognized; a file is then read the same way every time."""

    encoding: str | None = None
    fields: tuple[str, ...] = ()  # of each column
    standing: int | None = None  # of all rows

    @classmethod
    def load(cls, stored: dict[str, Any] | None) -> "Mapping":
        """Return the mapping that `dump` returned; an import of an earlier version has none."""
        values = stored or {}
        return cls(values.get("encoding"), tuple(values.get("fields", ())), values.get("standing"))

    def dump(self) -> dict[str, Any]:
        """Return the mapping as stored with an import."""
        return asdict(self) | {"fields": list(self.fields)}


def apply_mapping(mapping: Mapping, headers: Sequence[str], rows: Rows) -> Columns:
    """Return the columns as mapped, or else as recognized; raises NoAddressColumn."""
    if len(mapping.fields) == len(headers):
        standing = mapping.standing or 0
        return make_columns(headers, mapping.fields, Standing(standing))
    columns = recognize_columns(headers, rows)
    if mapping.standing is None:
        return columns
    return make_columns(headers, columns.fields, Standing(mapping.standing), columns.recipe)
