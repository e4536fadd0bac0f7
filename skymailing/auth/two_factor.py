"""The second factor: codes of an app (TOTP, RFC 6238), and recovery codes for when it is lost.

Adds and flushes, never commits. The key of the codes is kept encrypted with SECRET_KEY, and is shown
only until its owner has confirmed by a code that the app has it. Should SECRET_KEY change, recovery
codes still work, as they are kept as hashes alone.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

import pyotp
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app
from sqlalchemy import delete, func, select, update

from skymailing import audit
from skymailing.audit import Actor
from skymailing.auth.services import lock_user
from skymailing.extensions import db
from skymailing.models import AuditAction, RecoveryCode, User
from skymailing.outbox import services as outbox

ISSUER = "SkyMailing"
STEP = 30  # seconds for which a code stands, as apps take for granted
DRIFT = 1  # steps by which a phone's clock may be off
SETUP_LIFETIME = timedelta(minutes=15)
CODE_COUNT = 10
CODE_BYTES = 10  # 80 bits each: too many to try, so a plain hash is enough
LONGEST_CODE = 40  # characters that are looked at


def begin_setup(user: User, now: datetime) -> None:
    """Make a new key, which counts once it is confirmed; one begun before is forgotten."""
    lock_user(user)
    if not user.has_second_factor:
        user.totp_secret = _seal(pyotp.random_base32(), now)
        user.totp_last_step = 0  # of the codes of another key
        db.session.flush()


def pending_secret(user: User, now: datetime) -> str | None:
    """Return the key that is to be confirmed; None when there is none, or no longer."""
    if user.has_second_factor:
        return None
    return _open(user.totp_secret, now, SETUP_LIFETIME)


def app_address(user: User, secret: str) -> str:
    """Return what the QR code says: the otpauth:// address of the key."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=user.email, issuer_name=ISSUER)


def confirm_setup(user: User, code: str, now: datetime) -> list[str] | None:
    """Turn the second factor on and return the recovery codes; None when the code is wrong."""
    lock_user(user)
    secret = pending_secret(user, now)
    if secret is None or not _take_step(user, secret, code, now):
        return None
    user.second_factor_at = now
    outbox.post(user, "second-factor-changed", is_on=True)
    return replace_recovery_codes(user)


def accept_code(user: User, code: str, now: datetime) -> bool:
    """Whether this is the app's code or a recovery code; either is taken once."""
    typed = "".join(code[:LONGEST_CODE].lower().replace("-", "").split())
    secret = _open(user.totp_secret, now, None)
    if secret is not None and _take_step(user, secret, typed, now):
        return True
    taken = db.session.execute(
        delete(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.code_hash == _hash(typed))
        .returning(RecoveryCode.user_id)
    ).first()
    return taken is not None


def replace_recovery_codes(user: User) -> list[str]:
    """Return new recovery codes, to be shown this once; the old ones are void."""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower() for _ in range(CODE_COUNT)]
    db.session.add_all(RecoveryCode(user_id=user.id, code_hash=_hash(code)) for code in codes)
    db.session.flush()
    return ["-".join(code[start : start + 4] for start in range(0, len(code), 4)) for code in codes]


def count_recovery_codes(user: User) -> int:
    """Return how many recovery codes are left."""
    statement = select(func.count()).where(RecoveryCode.user_id == user.id)
    return db.session.scalar(statement) or 0


def turn_off(user: User) -> None:
    """Let the password alone be enough again, and tell the user by a letter."""
    lock_user(user)
    if not user.has_second_factor:
        return
    user.second_factor_at = None
    user.totp_secret = ""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    outbox.post(user, "second-factor-changed", is_on=False)
    db.session.flush()


def lift(user: User, reason: str, actor: Actor) -> None:
    """Turn the second factor off for somebody who lost it; written down in the audit log."""
    turn_off(user)
    audit.record(AuditAction.SECOND_FACTOR_LIFTED, actor, user, reason)
    db.session.flush()


def _take_step(user: User, secret: str, code: str, now: datetime) -> bool:
    """Whether the code is of about now and later than the last one taken, which it becomes."""
    totp = pyotp.TOTP(secret, interval=STEP)
    present = int(now.timestamp()) // STEP
    typed = "".join(code[:LONGEST_CODE].split()).encode()
    for step in range(present - DRIFT, present + DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), typed):
            # In the database, so that of two who send one code at the same moment one is refused.
            taken = db.session.execute(
                update(User)
                .where(User.id == user.id, User.totp_last_step < step)
                .values(totp_last_step=step)
                .returning(User.id)
            ).first()
            return taken is not None
    return False


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _seal(secret: str, now: datetime) -> str:
    return _cipher().encrypt_at_time(secret.encode(), int(now.timestamp())).decode()


def _open(sealed: str, now: datetime, lifetime: timedelta | None) -> str | None:
    """Return the key; None when there is none, it is too old, or SECRET_KEY was another one."""
    if not sealed:
        return None
    try:
        if lifetime is None:
            return _cipher().decrypt(sealed).decode()
        seconds = int(lifetime.total_seconds())
        return _cipher().decrypt_at_time(sealed, seconds, int(now.timestamp())).decode()
    except InvalidToken:
        return None


def _cipher() -> Fernet:
    derivation = HKDF(SHA256(), length=32, salt=None, info=b"skymailing second factor")
    return Fernet(base64.urlsafe_b64encode(derivation.derive(current_app.config["SECRET_KEY"].encode())))
