"""The letter that asks a person to confirm a subscription, and the token in its link.

It contains the form owner's text, but nothing that the visitor typed: otherwise, anyone could send a text of
their choice to strangers.
"""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from skymailing.db.engine import LARGEST_BIG_ID
from skymailing.delivery.senders import From, describe_from, is_usable
from skymailing.email_addresses import address_key
from skymailing.extensions import db
from skymailing.models import Brand, OutboxLetter, Signup, SignupForm, User
from skymailing.outbox.services import SubjectDeleted, add_letter
from skymailing.tokens import BadToken, make_stamp, make_token, read_token

CONFIRM_SIGNUP = "confirm-signup"
SIGNUP_LIFETIME = timedelta(days=7)


def add_signup_letter(form: SignupForm, signup_id: int, email: str) -> OutboxLetter:
    """Add a confirmation letter, sent through the mail server of the form's sender, or the installation's."""
    sender = form.sender
    server_id = sender.server_id if sender is not None and is_usable(sender) else None
    return add_letter(
        form.owner,
        CONFIRM_SIGNUP,
        to=email,
        locale=form.language,
        server_id=server_id,
        signup_id=signup_id,
    )


def make_signup_token(signup: Signup) -> str:
    """Return a token that confirms the address of a signup."""
    return make_token(CONFIRM_SIGNUP, {"signup": signup.id, "stamp": _stamp(signup)})


def read_signup_token(token: str, form_uuid: str) -> Signup:
    """Return the signup that a token confirms, which may already be confirmed. Raises BadToken."""
    payload = read_token(CONFIRM_SIGNUP, token, SIGNUP_LIFETIME)
    signup_id = payload.get("signup")
    if type(signup_id) is not int or signup_id > LARGEST_BIG_ID:
        raise BadToken
    signup = db.session.get(Signup, signup_id)
    if signup is None:
        raise BadToken("expired")  # removed by retention, or with its form
    if payload.get("stamp") != _stamp(signup) or signup.form.uuid != form_uuid:
        raise BadToken
    return signup


def _stamp(signup: Signup) -> str:
    # It contains more than the ID, because IDs may be reused after a restore.
    return make_stamp(signup.owner_id, signup.form_id, signup.email_key)


def find_signup(letter: OutboxLetter) -> Signup:
    """Return the signup that a letter confirms. Raises SubjectDeleted if there is nothing to confirm."""
    signup = db.session.get(Signup, letter.params["signup_id"])
    if signup is None or (signup.owner_id, signup.email_key) != (letter.user_id, address_key(letter.to)):
        raise SubjectDeleted("signup_gone")
    has_left = not letter.user.is_active or letter.user.deletion_at is not None
    if signup.confirmed_at is not None or not signup.form.is_open or has_left:
        raise SubjectDeleted("signup_gone")
    return signup


def find_signup_source(letter: OutboxLetter, form: SignupForm) -> From:
    """Return the sender of a confirmation letter, or the service's address if it cannot be used now.

    If the sender has no name, the letter has the owner's name from the form, which the person has just seen.
    """
    sender, name = form.sender, find_public_name(letter.user)
    if sender is None or not is_usable(sender):
        return describe_from(letter.user, None, name)
    source = describe_from(letter.user, sender, sender.name or name)
    # The installation's server may not send from an address that another server is responsible for.
    return source if sender.server_id == letter.server_id else replace(source, address="")


def find_public_name(owner: User) -> str:
    """Return the owner's name as on the form's page."""
    return db.session.scalar(select(Brand.name).where(Brand.owner_id == owner.id)) or owner.sender_name
