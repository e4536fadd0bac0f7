"""Run only one task of a kind at a time on a host, across all processes and users, to limit memory use."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import current_app

from skymailing.errors import UserError

PAUSE = 0.05  # seconds between two attempts


@contextmanager
def take_host_turn(name: str, seconds: float, busy: UserError) -> Iterator[None]:
    """Wait for the turn to run the task `name`; raises `busy` after `seconds`.

    A process that dies releases its turn. Each waiting request keeps one of the web server's threads busy.
    """
    deadline = time.monotonic() + seconds
    with (Path(current_app.config["DATA_DIR"]) / f".{name}").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the file is closed
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise busy from None
                time.sleep(PAUSE)
        yield
