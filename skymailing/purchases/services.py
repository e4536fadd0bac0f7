"""Record purchases, correct their amounts, and reassign them when their clients change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, select, update

from skymailing.db.engine import insert_into, is_in
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, MergedAddress, Purchase
from skymailing.purchases.crediting import find_credited
from skymailing.web.timezones import FIRST_YEAR, LAST_YEAR

MOST_AHEAD = timedelta(minutes=10)  # by which a shop's clock may be ahead of ours


@dataclass(frozen=True)
class NewPurchase:
    """A purchase as the shop reports it; the amount is in the currency's smallest unit."""

    order_number: str
    amount: int
    currency: str
    purchased_at: datetime


def add_purchase(client: Client, values: NewPurchase, now: datetime) -> tuple[Purchase, bool]:
    """Store a client's purchase, credited to a mailing; return it, and whether it is new.

    If another request has just stored this order, its amount is corrected. Raises UserError.
    """
    if values.purchased_at > now + MOST_AHEAD:
        raise UserError("purchase_in_future")
    if values.purchased_at.year < FIRST_YEAR:
        raise UserError("time_year_out_of_range", first=FIRST_YEAR, last=LAST_YEAR)
    credited = find_credited(client, values.purchased_at)
    insertion = insert_into(Purchase).values(
        owner_id=client.owner_id,
        client_id=client.id,
        run_id=credited.run_id if credited else None,
        mailing_id=credited.mailing_id if credited else None,
        order_number=values.order_number,
        amount=values.amount,
        currency=values.currency,
        # Reports count days in whole seconds, which databases round.
        purchased_at=values.purchased_at.replace(microsecond=0),
        created_at=now,
        updated_at=now,
    )
    key = [Purchase.owner_id, Purchase.order_number]
    correction = {"amount": values.amount, "currency": values.currency, "updated_at": now}
    stored = insertion.on_conflict_do_update(index_elements=key, set_=correction).returning(Purchase)
    purchase = db.session.scalars(stored, execution_options={"populate_existing": True}).one()
    return purchase, purchase.created_at == now


def correct_amount(purchase: Purchase, amount: int, currency: str) -> None:
    """Replace the amount of an order, for example after a refund; all other values stay."""
    purchase.amount, purchase.currency = amount, currency
    db.session.flush()


def find_buyer(owner_id: int, client_id: int) -> Client | None:
    """Return the owner's client, who cannot be deleted until the transaction ends."""
    return _keep(select(Client).where(Client.owner_id == owner_id, Client.id == client_id))


def find_buyer_by_address(owner_id: int, email_key: str) -> Client | None:
    """Return the client with an address, or the client into whom its former owner was merged.

    The client cannot be deleted until the transaction ends.
    """
    merged = select(MergedAddress.kept_key).where(
        MergedAddress.owner_id == owner_id, MergedAddress.email_key == email_key
    )
    is_theirs = (Client.email_key == email_key) | Client.email_key.in_(merged)
    own = select(Client).where(Client.owner_id == owner_id, is_theirs)
    found = own.order_by((Client.email_key == email_key).desc(), Client.id).limit(1)
    # If the client is being merged, the first query waits and finds no one; the second finds the kept client.
    return _keep(found) or _keep(found)


def _keep(statement: Select[tuple[Client]]) -> Client | None:
    return db.session.scalar(statement.with_for_update(read=True, key_share=True))


def find_purchases(client_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return the IDs of the purchases of each client."""
    found: dict[int, list[int]] = {}
    statement = select(Purchase.client_id, Purchase.id).where(is_in(Purchase.client_id, list(client_ids)))
    for client_id, purchase_id in db.session.execute(statement.order_by(Purchase.id)).tuples():
        assert client_id is not None
        found.setdefault(client_id, []).append(purchase_id)
    return found


def give_purchases(owner_id: int, buyers: Mapping[int, list[int]], giver_id: int | None) -> None:
    """Reassign purchases of a client, or those without a client; `buyers` has purchase IDs by client ID.

    SQLite may have given the ID of a removed purchase to a new purchase, which has another client.
    """
    given = Purchase.client_id.is_(None) if giver_id is None else Purchase.client_id == giver_id
    for client_id, ids in buyers.items():
        if not ids:
            continue
        own = (Purchase.owner_id == owner_id) & is_in(Purchase.__table__.c.id, ids) & given
        keep = {"client_id": client_id, "updated_at": Purchase.updated_at}
        db.session.execute(
            update(Purchase).where(own).values(keep), execution_options={"synchronize_session": False}
        )
