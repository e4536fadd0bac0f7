"""Read an owner's transactional letters."""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload

from skymailing.db.pagination import Order
from skymailing.delivery.ledger.claims import holds_letters
from skymailing.email_addresses import address_pattern
from skymailing.extensions import db
from skymailing.models import (
    Attempt,
    Delivery,
    DeliveryState,
    LetterContent,
    LetterFile,
    Mailing,
    MailingKind,
    MailingState,
    Suppression,
    SuppressionReason,
    TransactionalLetter,
)

ORDER: Order = [(TransactionalLetter.delivery_id, False)]
NEWEST_FIRST: Order = [(TransactionalLetter.delivery_id, True)]


def select_letters(
    owner_id: int, *, state: DeliveryState | None = None, reference: str = "", is_caught: bool = False
) -> Select[tuple[TransactionalLetter]]:
    """Return a statement for the owner's letters with their deliveries: those that are sent, or caught."""
    letter = TransactionalLetter
    statement = _with_delivery().where(letter.owner_id == owner_id, letter.is_caught.is_(is_caught))
    if state is not None:
        statement = statement.where(Delivery.state == state)
    return statement if not reference else statement.where(letter.reference == reference)


def _with_delivery() -> Select[tuple[TransactionalLetter]]:
    letter = TransactionalLetter
    return select(letter).join(letter.delivery).options(contains_eager(letter.delivery))


def list_files(letter: TransactionalLetter) -> Sequence[LetterFile]:
    """Return the files of a letter, without their contents."""
    statement = select(LetterFile).where(LetterFile.content_id == letter.content_id)
    return db.session.scalars(statement.order_by(LetterFile.position)).all()


def search_letters(
    owner_id: int, state: DeliveryState | None, text: str
) -> Select[tuple[TransactionalLetter]]:
    """Return a statement for letters whose address contains `text`, or which have it as reference."""
    statement = select_letters(owner_id, state=state).options(joinedload(TransactionalLetter.content))
    if not text:
        return statement
    is_to = Delivery.email_key.contains(address_pattern(text), autoescape=True)
    return statement.where(is_to | (TransactionalLetter.reference == text))


def list_stopped(owner_id: int) -> list[Mailing]:
    """Return the mailings whose letters are not sent now, because of a pause or a manager."""
    is_stopped = (Mailing.state == MailingState.PAUSED) | Mailing.disabled_at.is_not(None)
    is_active = Mailing.state.in_((MailingState.RUNNING, MailingState.PAUSED))
    statement = select(Mailing).where(Mailing.owner_id == owner_id, is_active, is_stopped)
    statement = statement.where(Mailing.kind == MailingKind.TRANSACTIONAL)
    return list(db.session.scalars(statement.order_by(Mailing.id)))


def find_letter(owner_id: int, delivery_id: int) -> TransactionalLetter | None:
    """Return one of the owner's letters, sent or caught."""
    letter = TransactionalLetter
    is_wanted = (letter.owner_id == owner_id) & (letter.delivery_id == delivery_id)
    return db.session.scalar(_with_delivery().where(is_wanted))


def find_suppression_reason(letter: TransactionalLetter) -> SuppressionReason | None:
    """Return why the letter's address gets no letters now."""
    of_address = (Suppression.owner_id == letter.owner_id) & (Suppression.email_key == letter.email_key)
    return db.session.scalar(select(Suppression.reason).where(of_address, holds_letters()))


def list_attempts(delivery_id: int) -> list[Attempt]:
    """Return the attempts to send a letter, oldest first."""
    statement = select(Attempt).where(Attempt.delivery_id == delivery_id).order_by(Attempt.number)
    return list(db.session.scalars(statement))


def find_newest_content(owner_id: int) -> LetterContent | None:
    """Return the content of the owner's newest letter."""
    newest = select(LetterContent).join(TransactionalLetter).where(TransactionalLetter.owner_id == owner_id)
    newest = newest.where(TransactionalLetter.is_caught.is_(False))
    return db.session.scalar(newest.order_by(TransactionalLetter.delivery_id.desc()).limit(1))
