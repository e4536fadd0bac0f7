"""Which passwords we take."""

from functools import cache
from pathlib import Path

from flask_babel import lazy_gettext as _l

MIN_LENGTH = 8
MAX_LENGTH = 1000  # characters; nobody types more, and hashing more only costs us
FEWEST_LETTERS = 3  # different ones
COMMON_PASSWORDS = Path(__file__).with_name("common-passwords.txt")

TOO_SHORT = _l("The password needs at least 8 characters.")
TOO_LONG = _l("The password is longer than 1000 characters.")
TOO_COMMON = _l("This password is among the first that are guessed. Please choose another.")
LIKE_ADDRESS = _l("Please choose a password that is not your address.")


@cache
def common_passwords() -> frozenset[str]:
    """Return passwords that guessing starts with, in lower case."""
    return frozenset(COMMON_PASSWORDS.read_text(encoding="utf-8").split())


def password_fault(password: str, email: str = "") -> str | None:
    """Return what is wrong with a password for this account, in a person's words, or None."""
    if len(password) < MIN_LENGTH:
        return str(TOO_SHORT)
    if len(password) > MAX_LENGTH:
        return str(TOO_LONG)
    lowered = password.lower()
    if lowered in common_passwords() or len(set(lowered)) < FEWEST_LETTERS:
        return str(TOO_COMMON)
    if email and lowered in {email.lower(), email.lower().partition("@")[0]}:
        return str(LIKE_ADDRESS)
    return None
