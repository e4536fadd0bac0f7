"""Retry while the database is unavailable, where giving up would lose delivery results."""

import logging
import time
from collections.abc import Callable

from sqlalchemy.exc import OperationalError

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds between two attempts


def write_with_retries(write: Callable[[], None], seconds: float) -> None:
    """Call `write`, a whole transaction, until it succeeds; after `seconds`, raise its OperationalError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return write()
        except OperationalError as error:
            if time.monotonic() > deadline:
                raise
            logger.warning("the database is unavailable; will retry recording: %s", error.orig)
            time.sleep(PAUSE)
