"""Define the interface of a mailbox, which is the same for both protocols."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from skymailing.errors import SkyMailingError

TIMEOUT = 20.0  # seconds, for each step of the dialogue


class MailboxFault(SkyMailingError):
    """The mailbox cannot be used. The message contains no password."""


class Mailbox(Protocol):
    """An open mailbox. All methods raise MailboxFault, after which it must be closed."""

    def list_letters(self, first: int, count: int) -> list[str]:
        """Return the names of up to `count` letters that are not yet filed, skipping the first `first`.

        The list is shorter if the letters are long, and empty if no letter is left.
        """

    def read(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each letter's name and the beginning of its text; the letters remain in the mailbox."""

    def file(self, names: list[str], is_understood: bool) -> None:
        """Move or delete letters, so that they are not listed again; their contents have been stored."""

    def close(self) -> None:
        """End the session, which completes the filing."""


def make_context() -> ssl.SSLContext:
    """Return a TLS context that checks certificates."""
    return ssl.create_default_context()


@contextmanager
def name_faults(*kinds: type[Exception]) -> Iterator[None]:
    """Convert a library's errors to MailboxFault."""
    errors: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except errors as error:
        raise MailboxFault(_describe(error)) from error


def _describe(error: Exception) -> str:
    text = " ".join(
        arg.decode("utf-8", "replace") if isinstance(arg, bytes) else str(arg) for arg in error.args
    )
    return text[:500] or type(error).__name__
