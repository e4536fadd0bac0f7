"""Two-factor authentication: codes from an app (TOTP, RFC 6238), and recovery codes for a lost phone.

The app's key is stored encrypted with SECRET_KEY, and is shown only until the user has entered a code
from the app. Recovery codes are stored only as hashes, so they still work after SECRET_KEY has changed.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

import pyotp
from cryptography.fernet import InvalidToken
from sqlalchemy import delete, func, select, update

from skymailing import audit
from skymailing.audit import Actor
from skymailing.auth.services import lock_user
from skymailing.encryption import SECOND_FACTOR, decrypt, derive_cipher
from skymailing.extensions import db
from skymailing.models import AuditAction, RecoveryCode, User
from skymailing.outbox import services as outbox

ISSUER = "SkyMailing"
LETTER = "second-factor-changed"  # stored in the outbox, so the name must not change
STEP = 30  # seconds for which a code is valid; apps assume this value
DRIFT = 1  # number of steps that a phone's clock may be off
SETUP_LIFETIME = timedelta(minutes=15)
CODE_COUNT = 10
CODE_BYTES = 10  # 80 bits cannot be guessed, so a plain hash is enough
MAX_CODE_LENGTH = 40  # characters; the rest is ignored


def start_setup(user: User, now: datetime) -> None:
    """Create a key that takes effect once it is confirmed; it replaces any unconfirmed one."""
    lock_user(user)
    if not user.has_two_factor:
        user.totp_secret = _encrypt(pyotp.random_base32(), now)
        user.totp_last_step = 0  # the old value belongs to the previous key
        db.session.flush()


def find_pending_secret(user: User, now: datetime) -> str | None:
    """Return the unconfirmed key; None if there is none or it has expired."""
    if user.has_two_factor:
        return None
    return _decrypt(user.totp_secret, now, SETUP_LIFETIME)


def make_provisioning_uri(user: User, secret: str) -> str:
    """Return the content of the QR code: the otpauth:// URI of the key."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=user.email, issuer_name=ISSUER)


def confirm_setup(user: User, code: str, now: datetime) -> list[str] | None:
    """Turn two-factor authentication on; return the recovery codes, or None if the code is wrong."""
    lock_user(user)
    secret = find_pending_secret(user, now)
    if secret is None or not _use_code(user, secret, code, now):
        return None
    user.second_factor_at = now
    outbox.add_letter(user, LETTER, is_on=True)
    return replace_recovery_codes(user)


def verify_code(user: User, code: str, now: datetime) -> bool:
    """Return whether the code is a valid app code or recovery code; a valid one cannot be used again."""
    typed = "".join(code[:MAX_CODE_LENGTH].lower().replace("-", "").split())
    secret = _decrypt(user.totp_secret, now, None)
    if secret is not None and _use_code(user, secret, typed, now):
        return True
    used = db.session.execute(
        delete(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.code_hash == _hash(typed))
        .returning(RecoveryCode.user_id)
    ).first()
    return used is not None


def replace_recovery_codes(user: User) -> list[str]:
    """Replace the recovery codes; return the new ones, which cannot be shown again."""
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
    """Turn two-factor authentication off and notify the user by email."""
    lock_user(user)
    if not user.has_two_factor:
        return
    user.second_factor_at = None
    user.totp_secret = ""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    outbox.add_letter(user, LETTER, is_on=False)
    db.session.flush()


def turn_off_by_operator(user: User, reason: str, actor: Actor) -> None:
    """Reset two-factor authentication for a user who has lost their phone and recovery codes."""
    turn_off(user)
    audit.record(AuditAction.TWO_FACTOR_LIFTED, actor, user, reason)
    db.session.flush()


def _use_code(user: User, secret: str, code: str, now: datetime) -> bool:
    """Return whether the code is valid now and newer than the last one used; if so, record it as used."""
    totp = pyotp.TOTP(secret, interval=STEP)
    current = int(now.timestamp()) // STEP
    typed = "".join(code[:MAX_CODE_LENGTH].split()).encode()
    for step in range(current - DRIFT, current + DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), typed):
            # Compare in the database, so that one of two simultaneous uses of a code is rejected.
            used = db.session.execute(
                update(User)
                .where(User.id == user.id, User.totp_last_step < step)
                .values(totp_last_step=step)
                .returning(User.id)
            ).first()
            return used is not None
    return False


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _encrypt(secret: str, now: datetime) -> str:
    return derive_cipher(SECOND_FACTOR).encrypt_at_time(secret.encode(), int(now.timestamp())).decode()


def _decrypt(encrypted: str, now: datetime, lifetime: timedelta | None) -> str | None:
    """Return the key; None if there is none, it is too old, or SECRET_KEY has changed."""
    if lifetime is None or not encrypted:
        return decrypt(encrypted, SECOND_FACTOR)
    seconds = int(lifetime.total_seconds())
    try:
        return derive_cipher(SECOND_FACTOR).decrypt_at_time(encrypted, seconds, int(now.timestamp())).decode()
    except InvalidToken:
        return None
