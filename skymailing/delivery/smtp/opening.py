"""Open several sessions with a mail server at the same time: each takes several round trips."""

import smtplib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context

LARGEST_GROUP = 20


def choose_group(open_count: int, missing: int) -> int:
    """Return how many sessions to open at the same time.

    At most as many as are already open: a server that allows few then refuses no more than it has accepted.
    """
    return min(missing, max(1, open_count), LARGEST_GROUP)


def open_group(
    open_smtp: Callable[[], smtplib.SMTP], count: int
) -> tuple[list[smtplib.SMTP], OSError | None]:
    """Return the sessions that could be opened, and the first error, if any."""
    if count == 1:
        try:
            return [open_smtp()], None
        except OSError as error:
            return [], error
    opened: list[smtplib.SMTP] = []

    def open_one() -> None:
        opened.append(open_smtp())

    with ExitStack() as stack:
        stack.callback(_close, opened)  # after an exception, such as a job's timeout: leave no socket open
        with ThreadPoolExecutor(count) as executor:
            # In a copy of the context, which has the application's configuration.
            futures = [executor.submit(copy_context().run, open_one) for _ in range(count)]
        first_error = _find_error(futures)
        stack.pop_all()
    return opened, first_error


def _find_error(futures: list[Future[None]]) -> OSError | None:
    """Return the first error of the network or the server; raise any other."""
    found = None
    for future in futures:
        try:
            future.result()
        except OSError as error:
            found = found or error
    return found


def _close(opened: list[smtplib.SMTP]) -> None:
    for smtp in opened:
        smtp.close()
