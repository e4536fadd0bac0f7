"""Passkeys: sign in with a key on a device or in a password manager instead of the password (WebAuthn).

A passkey replaces the password and the code: the device checks a fingerprint, a face or a PIN before it
signs (user verification), so it counts as two factors. Browsers offer passkeys only for a domain name, and
only over HTTPS or on localhost.
"""

import ipaddress
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import delete, func, or_, select, update

from skymailing.auth.services import lock_user
from skymailing.db.unique import add_unless_taken
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Passkey, User
from skymailing.outbox import services as outbox

SERVICE = "SkyMailing"
LETTER = "passkey-changed"  # stored in the outbox, so the name must not change
MAX_PASSKEYS = 20
NAME_MAX_LENGTH = 60
MAX_CREDENTIAL = 20_000  # characters of the browser's answer
CHALLENGE_LIFETIME = timedelta(minutes=5)


class PasskeyError(UserError):
    """A passkey cannot be added or used to sign in."""


@dataclass(frozen=True, slots=True)
class Party:
    """This site, in the form to which browsers bind passkeys."""

    id: str  # the host name
    origin: str


def find_party() -> Party | None:
    """Return this site; None if browsers would refuse passkeys for its address."""
    url = urlsplit(current_app.config["PUBLIC_URL"])
    host = url.hostname or ""
    if url.scheme != "https" and host != "localhost" and not host.endswith(".localhost"):
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # As browsers write an origin: in lower case, and without the default port.
        is_default = url.port in (None, {"https": 443, "http": 80}[url.scheme])
        return Party(host, f"{url.scheme}://{host}" if is_default else f"{url.scheme}://{host}:{url.port}")
    return None


def list_passkeys(user: User) -> Sequence[Passkey]:
    """Return the user's passkeys, oldest first."""
    return db.session.scalars(select(Passkey).where(Passkey.user_id == user.id).order_by(Passkey.id)).all()


def make_adding_options(user: User, party: Party, challenge: bytes) -> str:
    """Return the options of `navigator.credentials.create` as JSON."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=party.id,
        rp_name=SERVICE,
        user_id=user.id.to_bytes(8, "big"),
        user_name=user.email,
        user_display_name=user.name or user.email,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            # The passkey names its account, so that the page need not ask for an address.
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in list_passkeys(user)
        ],
    )
    return options_to_json(options)


def add_passkey(user: User, party: Party, challenge: bytes, credential: str, name: str) -> Passkey:
    """Add the passkey that a browser created, and notify the user by email. Raises PasskeyError."""
    from webauthn import verify_registration_response

    with _refusing_odd_answers():
        verified = verify_registration_response(
            credential=_read(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    lock_user(user)
    count = select(func.count()).where(Passkey.user_id == user.id)
    if (db.session.scalar(count) or 0) >= MAX_PASSKEYS:
        raise PasskeyError("passkey_limit", limit=MAX_PASSKEYS)
    passkey = Passkey(
        user_id=user.id,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        name=name[:NAME_MAX_LENGTH],
    )
    if not add_unless_taken(passkey):
        raise PasskeyError("passkey_exists")
    outbox.add_letter(user, LETTER, is_added=True, name=passkey.name)
    return passkey


def delete_passkey(user: User, passkey_id: int) -> bool:
    """Delete a passkey of the user, and notify them by email; return whether it existed."""
    lock_user(user)
    own = delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user.id)
    name = db.session.scalar(own.returning(Passkey.name))
    if name is None:
        return False
    outbox.add_letter(user, LETTER, is_added=False, name=name)
    db.session.flush()
    return True


def make_sign_in_options(party: Party, challenge: bytes) -> str:
    """Return the options of `navigator.credentials.get` as JSON, for a passkey of any account."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    return options_to_json(
        generate_authentication_options(
            rp_id=party.id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
    )


def verify_sign_in(
    party: Party, challenge: bytes, challenged_at: datetime, credential: str, now: datetime
) -> User:
    """Return the user whose passkey signed the challenge, which cannot be used again.

    Raises PasskeyError.
    """
    from webauthn import base64url_to_bytes, verify_authentication_response

    answer = _read(credential)
    with _refusing_odd_answers():
        credential_id = base64url_to_bytes(str(answer.get("id", "")))
        found = select(Passkey).where(Passkey.credential_id == credential_id)
        if (passkey := db.session.scalars(found).one_or_none()) is None:
            raise PasskeyError("passkey_unknown")
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    _use(passkey, verified.new_sign_count, challenged_at, now)
    user = db.session.get_one(User, passkey.user_id)
    if not (user.is_confirmed or user.is_blocked):  # the account is being deleted
        raise PasskeyError("passkey_unknown")
    return user


def _use(passkey: Passkey, sign_count: int, challenged_at: datetime, now: datetime) -> None:
    """Mark the challenge and all older ones as used. Raises PasskeyError if it has already been used."""
    # Compare in the database, so that one of two simultaneous uses of an answer is refused.
    is_unused = or_(Passkey.challenged_at.is_(None), Passkey.challenged_at < challenged_at)
    used = db.session.scalar(
        update(Passkey)
        .where(Passkey.id == passkey.id, is_unused)
        .values(sign_count=sign_count, used_at=now, challenged_at=challenged_at)
        .returning(Passkey.id)
    )
    if used is None:
        raise PasskeyError("passkey_refused")


@contextmanager
def _refusing_odd_answers() -> Iterator[None]:
    """Raise PasskeyError for an answer that is wrong or that the library cannot read."""
    try:
        yield
    except PasskeyError:
        raise
    except Exception as error:  # the library raises many types of errors for malformed answers
        raise PasskeyError("passkey_refused") from error


def _read(credential: str) -> dict[str, object]:
    """Return the browser's answer; raises PasskeyError."""
    try:
        answer = json.loads(credential) if len(credential) <= MAX_CREDENTIAL else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise PasskeyError("passkey_refused")
    return answer
