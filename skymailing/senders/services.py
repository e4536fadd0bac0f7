"""Add, change, confirm and delete senders; lock the owner's row to enforce limits."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, literal_column, select, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.delivery.routing.freemail import find_protected_domain
from skymailing.domains.queries import is_domain_verified
from skymailing.email_addresses import address_key, display_address
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    MAILING_TRANSITIONS,
    AuditAction,
    Mailing,
    MailingKind,
    MailingState,
    OutboxLetter,
    Sender,
    SmtpServer,
    UsageKind,
    User,
)
from skymailing.outbox.sender_tokens import CONFIRM_SENDER, read_sender_token
from skymailing.outbox.services import add_letter
from skymailing.quotas.checks import LimitReached, require_room, select_senders, use
from skymailing.quotas.locking import lock_owner
from skymailing.senders.queries import find_blocking_mailings
from skymailing.servers.queries import find_choice
from skymailing.settings.quotas import quota_settings

# Confirmation links in 24 hours: enough to correct mistakes, too few to flood a stranger's mailbox.
LETTERS_PER_OWNER = 20
LETTERS_PER_ADDRESS = 3


class SenderError(UserError):
    """A sender cannot be saved or used; `field` is the form field at fault."""

    def __init__(self, code: str, field: str = "", **values: object) -> None:
        super().__init__(code, **values)
        self.field = field


class SenderInUse(UserError):
    """Unfinished mailings use the sender, so it cannot be deleted."""

    def __init__(self, mailings: list[Mailing]) -> None:
        super().__init__("sender_in_use", names=", ".join(f"“{mailing.name}”" for mailing in mailings))


@dataclass(frozen=True)
class SenderValues:
    """An owner's choices for a sender, with parsed addresses."""

    name: str
    address: str
    reply_to: str = ""
    is_default: bool = False
    server_id: int | None = None  # None: the installation's mail server


def add_sender(owner: User, values: SenderValues, now: datetime) -> Sender:
    """Add a sender and request its confirmation; raises SenderError and LimitReached."""
    lock_owner(owner.id)
    require_room("sender_limit", select_senders(owner.id), quota_settings().senders)
    sender = Sender(owner_id=owner.id, address="", address_key="", is_default=False)
    sender.owner = owner
    _write(sender, values, now)
    return sender


def change_sender(sender: Sender, values: SenderValues, now: datetime) -> None:
    """Change a sender; a new address has to be confirmed. Runs keep the sender that they started with.

    Raises SenderError and LimitReached.
    """
    lock_owner(sender.owner_id)
    _lock_sender(sender)
    _write(sender, values, now)


def _write(sender: Sender, values: SenderValues, now: datetime) -> None:
    if values.is_default and not sender.is_default:
        defaults = update(Sender).where(Sender.owner_id == sender.owner_id, Sender.is_default)
        db.session.execute(defaults.values(is_default=False))
    key = address_key(values.address)
    is_new_address = key != sender.address_key
    if is_new_address:
        _check_new(sender, key)
    sender.server = _find_server(sender.owner_id, values)
    if domain := find_protected_domain(values.address, sender.server):
        raise SenderError("sender_freemail", "address", domain=domain)
    sender.name, sender.reply_to, sender.is_default = values.name, values.reply_to, values.is_default
    sender.address, sender.address_key = values.address, key
    if is_new_address:
        # The account's own address has already been confirmed.
        is_own = key == sender.owner.email
        sender.is_confirmed_by_domain = not is_own and is_domain_verified(sender.owner_id, key)
        confirmed_at = now if sender.is_confirmed_by_domain else None
        sender.confirmed_at = sender.owner.confirmed_at if is_own else confirmed_at
    db.session.add(sender)
    db.session.flush()
    if is_new_address and not sender.is_confirmed:
        request_confirmation(sender, now)


def _find_server(owner_id: int, values: SenderValues) -> SmtpServer | None:
    """Return the chosen mail server, which cannot be deleted until the transaction ends."""
    if values.server_id is None:
        return None
    server = find_choice(owner_id, values.server_id)
    if server is None:
        raise SenderError("sender_server_unknown", "server")
    if not server.has_passed and not server.is_being_tested:
        raise SenderError("sender_server_failed", "server")
    if not values.address.isascii():  # it is also the envelope address, which we send without SMTPUTF8
        raise SenderError("sender_international", "address")
    return server


def _check_new(sender: Sender, key: str) -> None:
    same = select(Sender.id).where(Sender.owner_id == sender.owner_id, Sender.address_key == key)
    if db.session.scalar(same) is not None:
        raise SenderError("sender_exists", "address")


def request_confirmation(sender: Sender, now: datetime) -> None:
    """Send a link to an unconfirmed address. Raises LimitReached."""
    if sender.is_confirmed:
        return
    lock_owner(sender.owner_id)
    recent = select(func.count()).where(
        # A literal instead of a parameter, so that both databases use the partial index.
        OutboxLetter.template == literal_column(f"'{CONFIRM_SENDER}'"),
        OutboxLetter.to == sender.address_key,
        OutboxLetter.created_at > now - timedelta(days=1),
    )
    if (db.session.scalar(recent) or 0) >= LETTERS_PER_ADDRESS:
        raise LimitReached("sender_address_letter_limit", LETTERS_PER_ADDRESS)
    use("sender_letter_limit", sender.owner_id, UsageKind.SENDER_LETTERS, LETTERS_PER_OWNER, 24, now)
    add_letter(
        sender.owner,
        CONFIRM_SENDER,
        to=sender.address_key,
        sender_id=sender.id,
        address=display_address(sender.address),
    )


def confirm_sender(token: str, now: datetime) -> Sender:
    """Confirm the address that the token was sent to. Raises BadToken if it is invalid or has been used."""
    _lock_sender(read_sender_token(token))
    sender = read_sender_token(token)  # read again, so that the second of two uses fails
    sender.confirmed_at = now
    db.session.flush()
    return sender


def check_unused(sender_id: int) -> None:
    """Raise SenderInUse if a mailing that may still start uses the sender."""
    if mailings := list(db.session.scalars(find_blocking_mailings(sender_id))):
        raise SenderInUse(mailings)


def delete_sender(sender: Sender, actor: Actor) -> None:
    """Delete a sender and remove it from ended mailings; runs keep their copy. Raises SenderInUse."""
    _lock_sender(sender)
    sender_id = sender.id
    try:
        with db.session.begin_nested():
            check_unused(sender_id)
            end_letters(sender_id)
            uses = update(Mailing).where(Mailing.sender_id == sender_id)
            db.session.execute(uses.values(sender_id=None, updated_at=Mailing.updated_at))
            audit.record(AuditAction.SENDER_DELETED, actor, sender)
            db.session.delete(sender)
            db.session.flush()
    except IntegrityError as error:
        # A mailing with this sender was saved after the check; the foreign key prevented the deletion.
        check_unused(sender_id)
        raise SenderInUse([]) from error


def end_letters(sender_id: int) -> None:
    """Cancel the transactional letters from a sender that are still waiting."""
    statement = select(Mailing).where(
        Mailing.sender_id == sender_id,
        Mailing.kind == MailingKind.TRANSACTIONAL,
        Mailing.state.in_((MailingState.RUNNING, MailingState.PAUSED)),
    )
    for mailing in db.session.scalars(statement.with_for_update()):
        MAILING_TRANSITIONS.move(mailing, MailingState.CANCELLED)
    db.session.flush()


def _lock_sender(sender: Sender) -> None:
    """Lock a sender until the transaction ends, and read it again; raises SenderError if it was deleted."""
    try:
        db.session.refresh(sender, with_for_update=True)
    except InvalidRequestError as error:
        raise SenderError("sender_deleted") from error
