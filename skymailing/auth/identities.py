"""Connect accounts to people's accounts at the OpenID Connect provider.

A person is identified by the provider's permanent ID, never by the address: addresses change hands, and not
every provider verifies them. Only its signed-in owner can connect an existing account, after entering the
password and a code.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from skymailing.auth.services import AddressTaken, create_user, lock_user
from skymailing.db.unique import add_unless_taken
from skymailing.delivery.rendering.mime import clean_line
from skymailing.email_addresses import InvalidEmail, address_key, parse_address
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import User, UserIdentity
from skymailing.outbox import services as outbox

LETTER = "identity-changed"  # stored in the outbox, so the name must not change
MAX_NAME = 200  # characters, as on the profile page
MAX_EMAIL = 254


@dataclass(frozen=True, slots=True)
class Claims:
    """The provider's claims about a person."""

    issuer: str
    subject: str
    email: str
    is_email_verified: bool
    name: str


class IdentityError(UserError):
    """The person cannot sign in with their account at the provider, or connect it."""


def list_identities(user: User) -> Sequence[UserIdentity]:
    """Return the accounts with which the user may sign in."""
    own = select(UserIdentity).where(UserIdentity.user_id == user.id)
    return db.session.scalars(own.order_by(UserIdentity.id)).all()


def find_user(claims: Claims, now: datetime) -> User | None:
    """Return the user whose account is connected to the person's, and record the sign-in."""
    found = select(UserIdentity).where(
        UserIdentity.issuer == claims.issuer, UserIdentity.subject == claims.subject
    )
    if (identity := db.session.scalars(found).one_or_none()) is None:
        return None
    identity.used_at = now
    return db.session.get_one(User, identity.user_id)


def connect(user: User, claims: Claims) -> None:
    """Let the person sign in as the user, and notify the user by email. Raises IdentityError."""
    lock_user(user)
    _add(user, claims)
    outbox.add_letter(user, LETTER, is_connected=True, email=claims.email[:MAX_EMAIL])


def disconnect(user: User, identity_id: int) -> bool:
    """Remove a connection, and notify the user by email; return whether it existed."""
    lock_user(user)
    own = delete(UserIdentity).where(UserIdentity.id == identity_id, UserIdentity.user_id == user.id)
    email = db.session.scalar(own.returning(UserIdentity.email))
    if email is None:
        return False
    outbox.add_letter(user, LETTER, is_connected=False, email=email)
    db.session.flush()
    return True


def register(claims: Claims, locale: str, password_hash: str, now: datetime) -> User:
    """Create an account for the person; `password_hash` is the hash of a random password.

    Raises IdentityError if the provider has not verified the address, or if an account with it exists.
    """
    try:
        email = address_key(parse_address(claims.email))
    except InvalidEmail as error:
        raise IdentityError("identity_unverified") from error
    if not claims.is_email_verified:
        raise IdentityError("identity_unverified")
    try:
        user = create_user(email, password_hash, locale=locale)
    except AddressTaken as error:
        raise IdentityError("identity_account_exists", email=email) from error
    user.confirmed_at = now
    user.name = clean_line(claims.name)[:MAX_NAME]
    _add(user, claims)
    return user


def make_random_password() -> str:
    """Return a random password, which is not stored; the user can set another one by email."""
    return secrets.token_urlsafe(32)


def _add(user: User, claims: Claims) -> None:
    identity = UserIdentity(
        user_id=user.id, issuer=claims.issuer, subject=claims.subject, email=claims.email[:MAX_EMAIL]
    )
    if not add_unless_taken(identity):
        raise IdentityError("identity_taken")
