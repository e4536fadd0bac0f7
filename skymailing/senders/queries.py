"""Read an owner's senders, and the mailings that use them."""

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from skymailing.delivery.eligibility import can_be_extended, is_unfinished
from skymailing.delivery.senders import is_usable
from skymailing.extensions import db
from skymailing.models import Mailing, MailingKind, Sender, SignupForm


def select_senders(owner_id: int) -> Select[tuple[Sender]]:
    """Select the owner's senders with their mail servers."""
    return select(Sender).where(Sender.owner_id == owner_id).options(joinedload(Sender.server))


def list_senders(owner_id: int) -> list[Sender]:
    """Return the owner's senders, ordered by address."""
    return list(db.session.scalars(select_senders(owner_id).order_by(Sender.address_key)))


def find_sender_by_id(owner_id: int, sender_id: int) -> Sender | None:
    """Return the owner's sender with this ID, or None."""
    return db.session.scalar(select_senders(owner_id).where(Sender.id == sender_id))


def find_default_sender(owner_id: int) -> Sender | None:
    """Return the sender that new mailings use, if letters may be sent from it now."""
    chosen = select(Sender).where(Sender.owner_id == owner_id, Sender.is_default)
    sender = db.session.scalar(chosen)
    return sender if sender is not None and is_usable(sender) else None


def name_forms(sender_id: int) -> list[str]:
    """Return the names of the sign-up forms whose letters come from a sender."""
    uses = select(SignupForm.name).where(SignupForm.sender_id == sender_id)
    return list(db.session.scalars(uses.order_by(SignupForm.name)))


def find_blocking_mailings(sender_id: int) -> Select[tuple[Mailing]]:
    """Select the mailings that still need a sender, since they may start or be extended."""
    uses = select(Mailing).where(Mailing.sender_id == sender_id, Mailing.kind == MailingKind.MAILING)
    return uses.where(is_unfinished() | can_be_extended()).order_by(Mailing.id.desc())
