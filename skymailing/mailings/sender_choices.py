"""List the senders that a mailing's form offers, and find the chosen one."""

from flask_babel import gettext as _
from sqlalchemy import select

from skymailing.delivery.senders import describe_from, is_usable, service_address
from skymailing.email_addresses import display_address
from skymailing.extensions import db
from skymailing.models import Mailing, Sender, User
from skymailing.senders.queries import list_senders


def list_sender_choices(owner: User, mailing: Mailing | None) -> list[tuple[int, str]]:
    """Return the service's own address as 0, the usable senders, and the mailing's sender in any state."""
    choices = [(0, display_address(service_address()))]
    for sender in list_senders(owner.id):
        label = describe_from(owner, sender).mailbox
        if is_usable(sender):
            choices.append((sender.id, label))
        elif mailing is not None and mailing.sender_id == sender.id:
            # Otherwise, saving the form would silently choose another address.
            is_confirmed = sender.is_confirmed
            text = _("%(address)s (cannot be used)") if is_confirmed else _("%(address)s (not confirmed)")
            choices.append((sender.id, text % {"address": label}))
    return choices


def find_sender(owner: User, sender_id: int | None) -> Sender | None:
    """Return the owner's sender with this ID."""
    if not sender_id:
        return None
    return db.session.scalar(select(Sender).where(Sender.id == sender_id, Sender.owner_id == owner.id))
