"""Several SMTP sessions driven side by side by one thread, inside time limits."""

import logging
import math
import selectors
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from functools import partial

from skymailing.delivery.smtp.replies import SessionLost
from skymailing.delivery.smtp.session import ENDS_SESSION, Journal, Letter, Result, Session

logger = logging.getLogger(__name__)

READ_SIZE = 65_536


class Line:
    """A session together with the socket that it speaks over."""

    def __init__(self, smtp: smtplib.SMTP, sender: str) -> None:
        assert smtp.sock is not None
        self._smtp = smtp  # holds a second handle to the socket, which has to be closed with it
        self.socket: socket.socket = smtp.sock
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session = Session(sender, pipelining=smtp.has_extn("pipelining"))
        self.deadline = 0.0
        self._letter: Letter | None = None

    def renew_deadline(self, seconds: float) -> None:
        """Give each letter its own time: all of its replies together get `seconds`."""
        if self.session.letter is not self._letter:
            self._letter = self.session.letter
            self.deadline = time.monotonic() + seconds

    def flush(self) -> None:
        """Write as much as the socket takes."""
        try:
            while self.session.outgoing:
                with memoryview(self.session.outgoing) as view:
                    count = self.socket.send(view)
                self.session.sent(count)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise SessionLost(f"connection lost: {error}") from error

    def read(self) -> None:
        """Read all there is, for TLS may hold back what `select` cannot see."""
        while True:
            try:
                data = self.socket.recv(READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise SessionLost(f"connection lost: {error}") from error
            if not data:
                raise SessionLost("the server closed the connection")
            self.session.receive(data)
            if not isinstance(self.socket, ssl.SSLSocket):
                return

    def has_ended(self) -> bool:
        """Whether the server ended the session while it was at rest, with or without a word."""
        try:
            self.socket.recv(READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Say QUIT without waiting for an answer: what happens then is nobody's concern."""
        try:
            if self.session.idle:
                self.socket.send(b"QUIT\r\n")
        except OSError:
            pass
        self._smtp.close()


class Exchange:
    """Hands batches of letters to one mail server over up to `target` sessions.

    `open_smtp` returns a connected, greeted and authenticated session, or raises OSError or
    SMTPException. Sessions are kept from one batch to the next.
    """

    def __init__(
        self, open_smtp: Callable[[], smtplib.SMTP], sender: str, journal: Journal, letter_seconds: float
    ) -> None:
        self._open_smtp = open_smtp
        self._sender = sender
        self._journal = journal
        self._letter_seconds = letter_seconds
        self._lines: list[Line] = []
        self._selector = selectors.DefaultSelector()

    def __len__(self) -> int:
        return len(self._lines)

    def connect(self, target: int, until: float = math.inf) -> None:
        """Open or close sessions until there are `target`; raises what opening one raises.

        Opens one at least, and no further one after `until` (monotonic seconds).
        """
        for line in [line for line in self._lines if line.has_ended()]:
            self._drop(line)
        while len(self._lines) < target and not (self._lines and time.monotonic() >= until):
            line = Line(self._open_smtp(), self._sender)
            # In this order: what is in the list can be dropped, whatever comes between.
            self._selector.register(line.socket, selectors.EVENT_READ, line)
            self._lines.append(line)
        while len(self._lines) > target:
            self._drop(self._lines[-1])

    def hand_over(
        self,
        letters: Iterable[Letter],
        until: float,
        results: list[Result] | None = None,
        is_enough: Callable[[Result], bool] = lambda _: False,
    ) -> list[Result]:
        """Hand over `letters`, beginning none after `until` (monotonic seconds) or once `is_enough`.

        Letters are taken one by one as sessions get free, so an iterator may build them as it goes.
        Returns exactly one result for each letter taken; there is none for those left over. A list
        that is given as `results` has them also when an exception ends the exchange.
        """
        waiting = iter(letters)
        results = [] if results is None else results
        stopped = False

        def take() -> Letter | None:
            if stopped or time.monotonic() >= until:
                return None
            return next(waiting, None)

        def report(result: Result) -> None:
            nonlocal stopped
            results.append(result)
            # The next letter would fare no better: nothing more is begun.
            stopped |= is_enough(result) or result.verdict in ENDS_SESSION

        try:
            for line in list(self._lines):
                self._guarded(line, partial(line.session.start, take, report, self._journal))
            while busy := [line for line in self._lines if not line.session.idle]:
                self._turn(busy)
        except BaseException:
            # A full disk, a job out of time: what is under way still has an outcome, perhaps unknown.
            for line in [line for line in self._lines if not line.session.idle]:
                line.session.lose("the sending process failed", is_interrupted=True)
                self._drop(line)
            raise
        return results

    def close(self) -> None:
        """End all sessions."""
        for line in list(self._lines):
            self._drop(line)
        self._selector.close()

    def _turn(self, busy: list[Line]) -> None:
        for line in busy:
            line.renew_deadline(self._letter_seconds)
            self._guarded(line, line.flush)
        alive = [line for line in busy if line in self._lines]
        for line in alive:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.session.outgoing else 0)
            if self._selector.get_key(line.socket).events != events:
                self._selector.modify(line.socket, events, line)
        nearest = min((line.deadline for line in alive), default=0.0)
        ready = self._selector.select(max(0.0, nearest - time.monotonic())) if alive else []
        for key, events in ready:
            if events & selectors.EVENT_READ:
                self._guarded(key.data, key.data.read)
        now = time.monotonic()
        for line in alive:
            if line in self._lines and not line.session.idle and now >= line.deadline:
                # Replies that came with this very turn have moved on to the next letter's time.
                line.renew_deadline(self._letter_seconds)
                if now >= line.deadline:
                    self._lose(line, f"no answer within {self._letter_seconds:g} s")

    def _guarded(self, line: Line, step: Callable[[], None]) -> None:
        try:
            step()
        except SessionLost as lost:
            self._lose(line, str(lost))

    def _lose(self, line: Line, reason: str) -> None:
        logger.info("a session with the mail server ended: %s", reason)
        line.session.lose(reason)
        self._drop(line)

    def _drop(self, line: Line) -> None:
        self._lines.remove(line)
        self._selector.unregister(line.socket)
        line.close()
