"""Read an owner's transactional letters."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from skymailing.db.pagination import Order
from skymailing.extensions import db
from skymailing.models import Attempt, Delivery, DeliveryState, TransactionalLetter

ORDER: Order = [(TransactionalLetter.delivery_id, False)]
NEWEST_FIRST: Order = [(TransactionalLetter.delivery_id, True)]


def select_letters(
    owner_id: int, *, state: DeliveryState | None = None, reference: str = ""
) -> Select[tuple[TransactionalLetter]]:
    """Return a statement for the owner's letters, with their deliveries."""
    letter = TransactionalLetter
    statement = select(letter).join(letter.delivery).options(contains_eager(letter.delivery))
    statement = statement.where(letter.owner_id == owner_id)
    if state is not None:
        statement = statement.where(Delivery.state == state)
    return statement if not reference else statement.where(letter.reference == reference)


def find_letter(owner_id: int, delivery_id: int) -> TransactionalLetter | None:
    """Return one of the owner's letters."""
    return db.session.scalar(select_letters(owner_id).where(TransactionalLetter.delivery_id == delivery_id))


def list_attempts(delivery_id: int) -> list[Attempt]:
    """Return the attempts to send a letter, oldest first."""
    statement = select(Attempt).where(Attempt.delivery_id == delivery_id).order_by(Attempt.number)
    return list(db.session.scalars(statement))


def has_letters(owner_id: int) -> bool:
    """Return whether the owner has any transactional letters."""
    own = select(TransactionalLetter.delivery_id).where(TransactionalLetter.owner_id == owner_id)
    first: Any = db.session.scalar(own.limit(1))
    return first is not None
