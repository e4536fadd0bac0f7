"""Addresses to which an owner can send test letters once their readers have agreed through a link.

Otherwise, any account could send any text to strangers as a test, bypassing opt-outs, unsubscribe links and
the checks of mailings.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, literal_column, select
from sqlalchemy.exc import InvalidRequestError

from skymailing.db.unique import add_unless_taken
from skymailing.email_addresses import address_key, display_address
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import OutboxLetter, Reviewer, Suppression, UsageKind, User
from skymailing.outbox.reviewer_tokens import CONFIRM_REVIEWER, read_reviewer_token
from skymailing.outbox.services import add_letter
from skymailing.quotas.checks import LimitReached, use
from skymailing.quotas.locking import lock_owner

MAX_REVIEWERS = 20
MAX_RECIPIENTS = 5  # of one test
# Confirmation links in 24 hours: enough to correct mistakes, too few to flood a stranger's mailbox.
LETTERS_PER_OWNER = 10
LETTERS_PER_ADDRESS = 3


class ReviewerError(UserError):
    """An address cannot be added, or may not get test letters."""


def list_reviewers(owner_id: int) -> Sequence[Reviewer]:
    own = select(Reviewer).where(Reviewer.owner_id == owner_id)
    return db.session.scalars(own.order_by(Reviewer.address_key)).all()


def list_usable(owner_id: int) -> Sequence[Reviewer]:
    """Return the addresses whose readers have agreed, without suppressed ones."""
    suppressed = select(Suppression.email_key).where(Suppression.owner_id == owner_id)
    usable = select(Reviewer).where(
        Reviewer.owner_id == owner_id,
        Reviewer.confirmed_at.is_not(None),
        Reviewer.address_key.not_in(suppressed),
    )
    return db.session.scalars(usable.order_by(Reviewer.address_key)).all()


def choose_recipients(owner: User, typed: Sequence[str]) -> list[str]:
    """Return the addresses for a test letter, without duplicates; by default, the owner's own address.

    Raises ReviewerError.
    """
    keys = list(dict.fromkeys(address_key(text) for text in typed if text.strip())) or [owner.email]
    if len(keys) > MAX_RECIPIENTS:
        raise ReviewerError("reviewer_too_many_recipients", limit=MAX_RECIPIENTS)
    usable = {reviewer.address_key for reviewer in list_usable(owner.id)} | {address_key(owner.email)}
    for key in keys:
        if key not in usable:
            raise ReviewerError("reviewer_unconfirmed", address=display_address(key))
    return [owner.email if key == address_key(owner.email) else key for key in keys]


def add_reviewer(owner: User, address: str, now: datetime) -> Reviewer:
    """Add an address, and ask its reader to agree. Raises ReviewerError and LimitReached."""
    lock_owner(owner.id)
    key = address_key(address)
    if key == address_key(owner.email):
        raise ReviewerError("reviewer_is_owner")
    count = select(func.count()).where(Reviewer.owner_id == owner.id)
    if (db.session.scalar(count) or 0) >= MAX_REVIEWERS:
        raise LimitReached("reviewer_limit", MAX_REVIEWERS)
    is_suppressed = select(Suppression.id).where(
        Suppression.owner_id == owner.id, Suppression.email_key == key
    )
    if db.session.scalar(is_suppressed) is not None:
        raise ReviewerError("reviewer_suppressed", address=display_address(address))
    reviewer = Reviewer(owner_id=owner.id, address=address, address_key=key)
    if not add_unless_taken(reviewer):
        raise ReviewerError("reviewer_exists")
    request_confirmation(reviewer, now)
    return reviewer


def request_confirmation(reviewer: Reviewer, now: datetime) -> None:
    """Send a link to an unconfirmed address. Raises LimitReached."""
    if reviewer.confirmed_at is not None:
        return
    lock_owner(reviewer.owner_id)
    recent = select(func.count()).where(
        # A literal instead of a parameter, so that both databases use the partial index.
        OutboxLetter.template == literal_column(f"'{CONFIRM_REVIEWER}'"),
        OutboxLetter.to == reviewer.address_key,
        OutboxLetter.created_at > now - timedelta(days=1),
    )
    if (db.session.scalar(recent) or 0) >= LETTERS_PER_ADDRESS:
        raise LimitReached("sender_address_letter_limit", LETTERS_PER_ADDRESS)
    kind = UsageKind.REVIEWER_LETTERS
    use("sender_letter_limit", reviewer.owner_id, kind, LETTERS_PER_OWNER, 24, now)
    add_letter(
        reviewer.owner,
        CONFIRM_REVIEWER,
        to=reviewer.address_key,
        reviewer_id=reviewer.id,
        address=display_address(reviewer.address),
    )


def confirm(token: str, now: datetime) -> Reviewer:
    """Record that the reader of the address agrees. Raises BadToken."""
    reviewer = read_reviewer_token(token)
    reviewer.confirmed_at = reviewer.confirmed_at or now
    db.session.flush()
    return reviewer


def stop(token: str) -> Reviewer:
    """Remove the address: its reader wants no more test letters. Raises BadToken."""
    reviewer = read_reviewer_token(token)
    delete_reviewer(reviewer)
    return reviewer


def delete_reviewer(reviewer: Reviewer) -> None:
    """Remove an address; waiting test letters to it are not sent."""
    try:
        db.session.refresh(reviewer, with_for_update=True)
    except InvalidRequestError:  # deleted since the request began
        return
    db.session.delete(reviewer)
    db.session.flush()
