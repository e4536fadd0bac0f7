"""Check that a new password is strong enough."""

from functools import cache
from pathlib import Path

from skymailing.errors import UserError

MIN_LENGTH = 8
MAX_LENGTH = 1000  # characters; longer passwords would only take longer to hash
MIN_DIFFERENT_LETTERS = 3
COMMON_PASSWORDS = Path(__file__).with_name("common-passwords.txt")


class WeakPassword(UserError):
    """The password is rejected; the code says why."""


@cache
def common_passwords() -> frozenset[str]:
    """Return the passwords that attackers try first, in lowercase."""
    return frozenset(COMMON_PASSWORDS.read_text(encoding="utf-8").split())


def check_password_strength(password: str, email: str = "") -> None:
    """Check a new password for the account with this address. Raises WeakPassword."""
    if len(password) < MIN_LENGTH:
        raise WeakPassword("password_too_short", length=MIN_LENGTH)
    if len(password) > MAX_LENGTH:
        raise WeakPassword("password_too_long", length=MAX_LENGTH)
    lowered = password.lower()
    if lowered in common_passwords() or len(set(lowered)) < MIN_DIFFERENT_LETTERS:
        raise WeakPassword("password_too_common")
    if email and lowered in {email.lower(), email.lower().partition("@")[0]}:
        raise WeakPassword("password_like_email")
