"""Changing the address book."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from skymailing import audit
from skymailing.addresses import address_key, parse_address
from skymailing.audit import Actor
from skymailing.clients.values import clean_attributes, clean_comment, clean_name
from skymailing.delivery import ledger
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import AuditAction, Client


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


def delete_clients(owner_id: int, client_ids: Iterable[int], now: datetime, actor: Actor) -> int:
    """Delete those of the ids that are the owner's; return how many.

    Their letters that have not left are cancelled; what was sent stays in the log with its address.
    """
    ids = list(client_ids)
    own = Client.id.in_(ids) & (Client.owner_id == owner_id)
    clients = db.session.scalars(select(Client).where(own).with_for_update()).all()
    owned = [client.id for client in clients]
    for client in clients:
        audit.record(AuditAction.CLIENT_DELETED, actor, client)
    db.session.flush()
    ledger.let_go_of_clients(db.session.connection(), owned, now)
    db.session.execute(
        delete(Client).where(Client.id.in_(owned)), execution_options={"synchronize_session": False}
    )
    return len(owned)
