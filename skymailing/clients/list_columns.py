"""The columns of the list of clients: each owner chooses them, including attributes of the clients."""

from collections.abc import Iterable

from skymailing.clients.queries import list_known_attributes
from skymailing.models import User

# The columns that can be chosen; the address and the name are always shown.
STANDARD = ("tags", "comment", "added", "changed")
DEFAULT = ("tags", "comment", "added")
ATTRIBUTE = "attribute."  # prefix of an attribute's name
MAX_ATTRIBUTES = 8


def list_chosen_columns(user: User) -> list[str]:
    """Return the columns that the user sees, from left to right."""
    return list(DEFAULT) if user.client_columns is None else user.client_columns


def choose_columns(user: User, names: Iterable[str]) -> None:
    """Store the columns that the user wants to see, except unknown ones and attributes beyond the limit."""
    wanted = set(names)
    attributes = [name for name in list_attribute_columns(user) if name in wanted]
    user.client_columns = [name for name in STANDARD if name in wanted] + attributes[:MAX_ATTRIBUTES]


def list_attribute_columns(user: User) -> dict[str, str]:
    """Return the attributes by column, including chosen ones that no recent client has."""
    columns = list_chosen_columns(user)
    chosen = [name.removeprefix(ATTRIBUTE) for name in columns if name.startswith(ATTRIBUTE)]
    known = {*list_known_attributes(user.id), *user.attribute_types, *chosen}
    return {f"{ATTRIBUTE}{name}": name for name in sorted(known)}
