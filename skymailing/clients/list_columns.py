"""The columns of the list of clients: each owner chooses them, including attributes of the clients."""

from collections.abc import Iterable
from dataclasses import dataclass

from skymailing.clients.known_fields import KnownFields, read_known_fields
from skymailing.models import User

LAST = ("last_email", "last_click")
# The columns that can be chosen; the address and the name are always shown.
STANDARD = ("tags", "comment", "added", "changed", *LAST)
SORTED = ("changed", *LAST)
DEFAULT = ("tags", "added")
ATTRIBUTE = "attribute."  # prefix of an attribute's name
MAX_ATTRIBUTES = 8
# Without a choice, the most common attributes are shown, too.
MAX_DEFAULT_ATTRIBUTES = 3
DEFAULT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a user sees, from left to right, and the names of all attributes by column."""

    shown: list[str]
    attributes: dict[str, str]
    is_default: bool

    def has_values(self, column: str) -> bool:
        """Return whether a column, shown or not, has one unindexed value per client."""
        return column in SORTED or column in self.attributes


def read_columns(user: User) -> Columns:
    """Return the user's columns; attributes include chosen ones that no recent client has."""
    fields = read_known_fields(user.id)
    shown = _list_defaults(fields) if user.client_columns is None else user.client_columns
    chosen = [name.removeprefix(ATTRIBUTE) for name in shown if name.startswith(ATTRIBUTE)]
    known = {*fields.uses, *user.attribute_types, *chosen}
    names = {f"{ATTRIBUTE}{name}": name for name in sorted(known)}
    return Columns(shown, names, is_default=user.client_columns is None)


def _list_defaults(fields: KnownFields) -> list[str]:
    common = fields.list_common(DEFAULT_SHARE, MAX_DEFAULT_ATTRIBUTES)
    return [*DEFAULT, *(f"{ATTRIBUTE}{name}" for name in common)]


def choose_columns(user: User, names: Iterable[str]) -> None:
    """Store the columns that the user wants to see, except unknown ones and attributes beyond the limit."""
    wanted = set(names)
    attributes = [name for name in read_columns(user).attributes if name in wanted]
    user.client_columns = [name for name in STANDARD if name in wanted] + attributes[:MAX_ATTRIBUTES]
