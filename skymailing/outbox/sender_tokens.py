"""Sign the links that confirm senders. A link belongs to one address, and works once."""

from skymailing.models import Sender
from skymailing.tokens import VERIFY_LIFETIME, BadToken, find_object, make_stamp, make_token, read_token

CONFIRM_SENDER = "confirm-sender"


def make_sender_token(sender: Sender) -> str:
    """Return a token that confirms the sender's current address."""
    return make_token(CONFIRM_SENDER, {"sender": sender.id, "stamp": _stamp(sender)})


def read_sender_token(token: str) -> Sender:
    """Return the sender whose address the token confirms. Raises BadToken, including for a used token."""
    payload = read_token(CONFIRM_SENDER, token, VERIFY_LIFETIME)
    sender = find_object(Sender, payload.get("sender"))
    if sender is None or not sender.owner.is_active:
        raise BadToken
    if payload.get("stamp") != _stamp(sender):
        raise BadToken("used")
    return sender


def _stamp(sender: Sender) -> str:
    # It contains the owner and the address, because IDs may be reused after a restore.
    return make_stamp(sender.owner_id, sender.address_key, sender.confirmed_at)
