"""Provide helpers for tests of opens per person."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Client,
    Delivery,
    Engagement,
)
from skymailing.tracking.click_counts import to_milliseconds

NOW = utcnow().replace(microsecond=0)
Choose = Callable[..., None]
Open = Callable[..., None]


def client_of(session: Session, letter: Delivery) -> Client:
    return session.get_one(Client, letter.client_id)


def read_opens(session: Session) -> dict[int, tuple[int, int | None]]:
    """Return how often each letter was opened, and when last, in seconds after NOW."""
    session.expire_all()
    return {
        row.delivery_id: (row.opens, row.last_open_at and (row.last_open_at - to_milliseconds(NOW)) // 1000)
        for row in session.scalars(select(Engagement))
        if row.opened_on is not None
    }
