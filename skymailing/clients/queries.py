"""Query the address book."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from skymailing.clients.search.finding import list_found
from skymailing.db.pagination import Order
from skymailing.email_addresses import address_pattern
from skymailing.extensions import db
from skymailing.models import (
    Client,
    ClientImport,
    ImportRejection,
    Mailing,
    MailingState,
    Suppression,
    SuppressionReason,
    mailing_clients,
)

ORDERS: dict[str, Order] = {
    "-added": [(Client.id, True)],
    "added": [(Client.id, False)],
    "email": [(Client.email_key, False)],
    "-email": [(Client.email_key, True)],
    "name": [(Client.full_name, False), (Client.id, False)],
    "-name": [(Client.full_name, True), (Client.id, True)],
}
DEFAULT_ORDER = "-added"
SUPPRESSION_ORDER: Order = [(Suppression.email_key, False)]
REJECTION_ORDER: Order = [(ImportRejection.id, False)]
FINAL_MAILING_STATES = (MailingState.FINISHED, MailingState.CANCELLED)


def list_suppressions(owner_id: int, search: str = "") -> Select[tuple[Suppression]]:
    """Return a statement for the suppressed addresses, only those that contain `search` if it is given."""
    statement = select(Suppression).where(Suppression.owner_id == owner_id)
    if not search:
        return statement
    return statement.where(Suppression.email_key.contains(address_pattern(search), autoescape=True))


def find_suppressions(owner_id: int, clients: Iterable[Client]) -> dict[str, SuppressionReason]:
    """Return the suppression reasons for the clients on a page, by address key.

    It is a separate statement, so that the list itself needs only a short index scan.
    """
    keys = [client.email_key for client in clients]
    rows = db.session.execute(
        select(Suppression.email_key, Suppression.reason).where(
            Suppression.owner_id == owner_id, Suppression.email_key.in_(keys)
        )
    )
    return {row.email_key: row.reason for row in rows}


def count_selections(client_ids: Sequence[int] | Select[tuple[int]]) -> int:
    """Return the number of unfinished mailings in which any of the clients is selected."""
    return (
        db.session.scalar(
            select(func.count(func.distinct(Mailing.id)))
            .join(mailing_clients, mailing_clients.c.mailing_id == Mailing.id)
            .where(
                mailing_clients.c.client_id.in_(client_ids),
                Mailing.state.not_in(FINAL_MAILING_STATES),
            )
        )
        or 0
    )


def find_own_clients(owner_id: int, client_ids: Sequence[int]) -> list[Client]:
    """Return the owner's clients with these IDs, sorted by address."""
    statement = select(Client).where(Client.owner_id == owner_id, Client.id.in_(client_ids))
    return list(db.session.scalars(statement.order_by(Client.email_key)))


def find_similar(client: Client, search: str, limit: int = 10) -> list[Client]:
    """Return other clients of the same owner who match the search, by address."""
    others = list_found(client.owner_id, search).where(Client.id != client.id)
    return list(db.session.scalars(others.order_by(Client.email_key).limit(limit)))


def select_ids(owner_id: int, condition: ColumnElement[bool]) -> Select[tuple[int]]:
    """Return a statement for the IDs of the owner's clients for whom `condition` holds."""
    return select(Client.id).where(Client.owner_id == owner_id, condition)


def read_ids(owner_id: int, condition: ColumnElement[bool]) -> Sequence[int]:
    """Return the sorted IDs of the owner's clients for whom `condition` holds; each takes up 8 bytes."""
    statement = select_ids(owner_id, condition).order_by(Client.id)
    return array("q", db.session.scalars(statement, execution_options={"yield_per": 10_000}))


def list_rejections(import_: ClientImport) -> Select[Any]:
    """Return a statement for the rejected rows of an import."""
    return select(ImportRejection).where(ImportRejection.import_id == import_.id)


def list_latest_imports(owner_id: int, limit: int = 5) -> list[ClientImport]:
    """Return the owner's latest imports without their files, newest first."""
    newest = select_imports(owner_id).order_by(ClientImport.id.desc()).limit(limit)
    return list(db.session.scalars(newest))


def select_imports(owner_id: int) -> Select[tuple[ClientImport]]:
    """Return a statement for the owner's imports."""
    return select(ClientImport).where(ClientImport.owner_id == owner_id)


def find_by_key(owner_id: int, email_key: str, *, to_change: bool = False) -> Client | None:
    """Return the owner's client with this address key; locked if it is to be changed."""
    own = select(Client).where(Client.owner_id == owner_id, Client.email_key == email_key)
    return db.session.scalar(own.with_for_update() if to_change else own)
