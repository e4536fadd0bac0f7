"""Change one value of a client: the name, the comment or a custom field."""

from dataclasses import replace

from skymailing.clients.cleaning import clean_text
from skymailing.clients.columns import attribute_key
from skymailing.clients.services import ClientValues, update_client
from skymailing.errors import UserError
from skymailing.models import Client

TEXTS = ("full_name", "comment")
SHOWN_LENGTH = 200
ATTRIBUTE = "attribute."  # before the name of a custom field, as in segments


class ValueChanged(UserError):
    """The value was changed in another window."""

    def __init__(self, present: str) -> None:
        if present:
            super().__init__("client_value_changed", value=present[:SHOWN_LENGTH])
        else:
            super().__init__("client_value_removed")


def read_value(client: Client, field: str) -> str:
    """Return a value of the client; empty if there is none, or no such field."""
    if field in TEXTS:
        return str(getattr(client, field))
    return str(client.attributes.get(field.removeprefix(ATTRIBUTE), ""))


def change_value(client: Client, field: str, value: str, shown: str) -> None:
    """Store a value; an empty one removes a custom field, which is added if the client has none.

    `shown` is the value that the page had: raises ValueChanged if it has changed since, and InvalidValue.
    """
    present = read_value(client, field)
    if present and _normalize(present) == _normalize(value):
        return  # a repeated request
    if _normalize(present) != _normalize(shown):
        raise ValueChanged(present)
    if value.strip() and not clean_text(value):
        raise UserError("client_value_unreadable")
    values = ClientValues.of(client)
    if field == "full_name":
        values = replace(values, full_name=value)
    elif field == "comment":
        values = replace(values, comment=value)
    elif name := find_attribute(field):
        values = replace(values, attributes=list((client.attributes | {name: value}).items()))
    else:
        raise UserError("client_field_unknown")
    update_client(client, values)


def find_attribute(field: str) -> str:
    """Return the name of the custom field; empty if `field` is not a custom field or has an invalid name."""
    name = field.removeprefix(ATTRIBUTE)
    return name if name != field and attribute_key(name) == name else ""


def add_value(client: Client, name: str, value: str) -> str:
    """Add a custom field and return its name; raises UserError or InvalidValue."""
    key = attribute_key(name)
    if not key:
        raise UserError("client_field_unnamed")
    if client.attributes.get(key):
        raise UserError("client_field_taken", name=key)
    if not clean_text(value):
        raise UserError("client_value_missing")
    update_client(
        client, replace(ClientValues.of(client), attributes=[*client.attributes.items(), (key, value)])
    )
    return key


def _normalize(text: str) -> str:
    """Browsers send line breaks as CRLF, and ignore one at the beginning of a text field."""
    return text.replace("\r\n", "\n").strip()
