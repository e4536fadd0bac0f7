"""Record purchases, correct their amounts, and keep them with their clients."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from skymailing.db.engine import insert_into
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, MergedAddress, Purchase
from skymailing.purchases.crediting import find_credited
from skymailing.purchases.queries import find_by_order

MOST_AHEAD = timedelta(minutes=10)  # of our clock


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
    credited = find_credited(client, values.purchased_at)
    insertion = insert_into(Purchase).values(
        owner_id=client.owner_id,
        client_id=client.id,
        run_id=credited.run_id if credited else None,
        mailing_id=credited.mailing_id if credited else None,
        order_number=values.order_number,
        amount=values.amount,
        currency=values.currency,
        purchased_at=values.purchased_at,
        created_at=now,
        updated_at=now,
    )
    key = [Purchase.owner_id, Purchase.order_number]
    added = db.session.scalar(insertion.on_conflict_do_nothing(index_elements=key).returning(Purchase.id))
    purchase = find_by_order(client.owner_id, values.order_number, to_change=True)
    assert purchase is not None
    if added is None:
        correct_amount(purchase, values.amount, values.currency)
    return purchase, added is not None


def correct_amount(purchase: Purchase, amount: int, currency: str) -> None:
    """Replace the amount of an order, for example after a refund; everything else stays."""
    purchase.amount, purchase.currency = amount, currency
    db.session.flush()


def find_buyer(owner_id: int, email_key: str) -> Client | None:
    """Return the client with an address, or the one into whom a client with this address was merged."""
    merged = select(MergedAddress.kept_key).where(
        MergedAddress.owner_id == owner_id, MergedAddress.email_key == email_key
    )
    is_theirs = (Client.email_key == email_key) | Client.email_key.in_(merged)
    own = select(Client).where(Client.owner_id == owner_id, is_theirs)
    return db.session.scalar(own.order_by((Client.email_key == email_key).desc(), Client.id).limit(1))


def find_purchases(client_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return the IDs of the purchases of each client."""
    found: dict[int, list[int]] = {}
    statement = select(Purchase.client_id, Purchase.id).where(Purchase.client_id.in_(list(client_ids)))
    for client_id, purchase_id in db.session.execute(statement.order_by(Purchase.id)).tuples():
        assert client_id is not None
        found.setdefault(client_id, []).append(purchase_id)
    return found


def give_purchases(owner_id: int, buyers: Mapping[int, list[int]]) -> None:
    """Give purchases to clients: the IDs of the purchases by the IDs of the clients."""
    for client_id, ids in buyers.items():
        own = (Purchase.owner_id == owner_id) & Purchase.id.in_(ids)
        keep = {"client_id": client_id, "updated_at": Purchase.updated_at}
        db.session.execute(
            update(Purchase).where(own).values(keep), execution_options={"synchronize_session": False}
        )
