"""Decide which sender a mailing's letters have, and whether it may be used."""

from dataclasses import dataclass
from email.utils import parseaddr

from flask import current_app

from skymailing.delivery.routing.freemail import find_protected_domain
from skymailing.email_addresses import display_address
from skymailing.models import Mailing, Sender, StateReason, User


@dataclass(frozen=True, slots=True)
class From:
    """A From header and the address for replies; an empty `address` means the service's own."""

    name: str
    address: str
    reply_to: str

    @property
    def mailbox(self) -> str:
        """Name and address, as pages show them."""
        return f"{self.name} <{display_address(self.address or service_address())}>"


def service_address() -> str:
    """Return the service's own sender address, without a display name."""
    return parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1]


def is_usable(sender: Sender) -> bool:
    """Return whether letters may come from this sender, now or once its mail server has been tested."""
    return find_problem(sender) is None


def find_problem(sender: Sender) -> StateReason | None:
    """Return why letters may not come from this sender; None while its mail server is being tested."""
    server = sender.server
    if not sender.is_confirmed or find_protected_domain(sender.address, server):
        return StateReason.SENDER_UNUSABLE
    if server is not None and not server.has_passed and not server.is_being_tested:
        return StateReason.SERVER_UNUSABLE
    return None


def describe_from(owner: User, sender: Sender | None, name: str = "") -> From:
    """Return the sender of letters of `owner`; `name` replaces the sender's name."""
    if sender is None:
        return From(name or owner.sender_name, "", owner.email)
    # Replies go to the sender's own address, even if a worker of an older version writes the letter.
    return From(name or sender.name or owner.sender_name, sender.address, sender.reply_to or sender.address)


def describe_mailing(mailing: Mailing) -> From:
    """Return the sender of the mailing's letters."""
    return describe_from(mailing.owner, mailing.sender, mailing.sender_name)
