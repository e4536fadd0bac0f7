"""Read the letters added with test keys, which workers have caught."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from sqlalchemy import Select, func, select
from sqlalchemy.orm import defer

from skymailing.db.pagination import Order
from skymailing.extensions import db
from skymailing.models import CaughtLetter

ORDER: Order = [(CaughtLetter.id, False)]
NEWEST_FIRST: Order = [(CaughtLetter.id, True)]


def select_caught(
    owner_id: int, email: str = "", delivery_id: int | None = None
) -> Select[tuple[CaughtLetter]]:
    """Return a statement for an owner's letters without their sources, or for those to an address."""
    statement = select(CaughtLetter).where(CaughtLetter.owner_id == owner_id)
    if email:
        statement = statement.where(func.lower(CaughtLetter.email) == email.lower())
    if delivery_id is not None:
        statement = statement.where(CaughtLetter.delivery_id == delivery_id)
    return statement.options(defer(CaughtLetter.source, raiseload=True))


def find_caught(owner_id: int, letter_id: int) -> CaughtLetter | None:
    """Return one of an owner's letters."""
    is_wanted = (CaughtLetter.owner_id == owner_id) & (CaughtLetter.id == letter_id)
    return db.session.scalar(select(CaughtLetter).where(is_wanted))


def parse(letter: CaughtLetter) -> EmailMessage:
    """Return the letter with its headers and parts."""
    return BytesParser(policy=policy.default).parsebytes(letter.source)
