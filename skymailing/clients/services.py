"""Changing the address book."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from skymailing.clients.cleaning import clean_attributes, clean_comment, clean_name
from skymailing.email_addresses import address_key, parse_address
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import Client


class DuplicateClient(SkyMailingError):
    """The owner has a client with this address already."""


@dataclass(frozen=True, slots=True)
class ClientValues:
    """What a person says about a client, as typed."""

    email: str
    full_name: str = ""
    comment: str = ""
    attributes: Sequence[tuple[str, str]] = ()


def create_client(owner_id: int, values: ClientValues) -> Client:
    """Return the new client; raises InvalidEmail, InvalidValue or DuplicateClient."""
    client = Client(owner_id=owner_id)
    with unique_address():
        fill(client, values)
        db.session.add(client)
    return client


def update_client(client: Client, values: ClientValues) -> None:
    """Change a client; raises InvalidEmail, InvalidValue or DuplicateClient."""
    with unique_address():
        fill(client, values)


def fill(client: Client, values: ClientValues) -> None:
    email = parse_address(values.email)
    full_name, comment = clean_name(values.full_name), clean_comment(values.comment)
    attributes = clean_attributes(values.attributes)
    client.email, client.email_key = email, address_key(email)
    client.full_name, client.comment, client.attributes = full_name, comment, attributes


@contextmanager
def unique_address() -> Iterator[None]:
    """Flush what is done inside; nothing of it stays when the owner has that address already."""
    try:
        with db.session.begin_nested():
            yield
    except IntegrityError as error:
        # Two requests may both have seen no such client; the key is what decides.
        if "email_key" in str(error.orig):
            raise DuplicateClient from error
        raise
