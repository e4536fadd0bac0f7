"""Read the purchases that an account's shop has reported, for the export."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import cells, read_in_chunks
from skymailing.models import Client, Purchase
from skymailing.web.money import format_amount


def read_purchases(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield each purchase, with the client's address and the mailing that it is credited to."""
    yield ("time", "order_number", "email", "amount", "currency", "mailing_id", "run_id")
    columns = (Purchase.id, Purchase.purchased_at, Purchase.order_number, Client.email)
    credited = (Purchase.mailing_id, Purchase.run_id)
    statement = select(*columns, Purchase.amount, Purchase.currency, *credited)
    statement = statement.outerjoin(Client, Client.id == Purchase.client_id)
    for row in read_in_chunks(statement.where(Purchase.owner_id == user_id), Purchase.__table__.c.id):
        time, number, email, amount, currency, *rest = cells(row)
        yield (time, number, email, format_amount(amount, currency), currency, *rest)
