"""Run several SMTP sessions in parallel in one thread, with time limits."""

import logging
import math
import selectors
import smtplib
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

from skymailing.delivery.smtp.opening import choose_group, open_group
from skymailing.delivery.smtp.pipelining import Pipelining
from skymailing.delivery.smtp.replies import SessionLost
from skymailing.delivery.smtp.session import Journal, Letter, Result, Session
from skymailing.delivery.smtp.verdicts import ENDS_WINDOW

logger = logging.getLogger(__name__)

READ_SIZE = 65_536
# The lowest rate, in bytes per second, at which a server may accept attachments; slower letters fail.
SLOWEST = 32_768


class Channel:
    """A session with its socket."""

    def __init__(self, smtp: smtplib.SMTP, sender: str, known: Pipelining) -> None:
        assert smtp.sock is not None
        self._smtp = smtp  # has its own handle to the socket, which must also be closed
        self.socket: socket.socket = smtp.sock
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session = Session(sender, smtp.has_extn("pipelining"), known)
        # RFC 1870: the largest letter that the server accepts; without a number, or with 0, any size.
        size = smtp.esmtp_features.get("size", "").partition(" ")[0]
        self.largest_letter = (int(size) if size.isdecimal() else 0) or sys.maxsize
        self.accepts_international = smtp.has_extn("smtputf8")
        self.deadline = 0.0
        self._letter: Letter | None = None
        self._latest = 0.0  # the last possible deadline of a letter with attachments
        self._body_left: int | None = None  # bytes left when the deadline was last set

    def renew_deadline(self, seconds: float) -> None:
        """Give each new letter in the session `seconds` in total for its replies.

        A letter with attachments gets more time while its body is being accepted. Once the body is written,
        much of it may still be in the socket's buffer.
        """
        letter = self.session.letter
        if letter is not self._letter:
            self._letter, self._body_left = letter, None
            self.deadline = time.monotonic() + seconds
            self._latest = self.deadline + (len(letter.tail) / SLOWEST if letter else 0)
        elif letter and letter.tail and (left := self.session.body_left) != self._body_left:
            self._body_left = left
            self.deadline = min(self._latest, time.monotonic() + seconds) if left else self._latest

    def flush(self) -> None:
        """Write as much as the socket accepts."""
        try:
            while self.session.outgoing:
                with memoryview(self.session.outgoing) as view:
                    count = self.socket.send(view)
                self.session.confirm_written(count)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise SessionLost(f"connection lost: {error}") from error

    def read(self) -> None:
        """Read all available data, since TLS may buffer data that `select` does not see."""
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
        """Return whether the server has ended the idle session, with or without a reply."""
        try:
            self.socket.recv(READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Send QUIT and close without waiting for the reply, which would change nothing."""
        try:
            if self.session.is_idle:
                self.socket.send(b"QUIT\r\n")
        except OSError:
            pass
        self._smtp.close()


class Pipeline:
    """Send batches of letters to one mail server over several sessions.

    `open_smtp` returns a session that is connected, greeted and authenticated; it raises OSError or
    SMTPException. Sessions stay open between batches.
    """

    def __init__(
        self,
        open_smtp: Callable[[], smtplib.SMTP],
        sender: str,
        journal: Journal,
        letter_seconds: float,
        known: Pipelining | None = None,
    ) -> None:
        self._open_smtp = open_smtp
        self._known = known or Pipelining()
        self._sender = sender
        self._journal = journal
        self._letter_seconds = letter_seconds
        self._channels: list[Channel] = []
        self._selector = selectors.DefaultSelector()

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def sender(self) -> str:
        """The address in the envelopes; it can be changed between batches."""
        return self._sender

    @sender.setter
    def sender(self, sender: str) -> None:
        if sender != self._sender:
            self._sender = sender
            for channel in self._channels:
                channel.session.set_sender(sender)

    @property
    def largest_letter(self) -> int:
        """The size in bytes of the largest letter that the server accepts."""
        return min((channel.largest_letter for channel in self._channels), default=sys.maxsize)

    @property
    def accepts_international(self) -> bool:
        """Whether the server accepts recipients with a non-ASCII local part (RFC 6531)."""
        return all(channel.accepts_international for channel in self._channels)

    def connect(self, target: int, until: float = math.inf) -> None:
        """Open or close sessions until there are `target`; raises the errors of `open_smtp`.

        Opens at least one, and no more after `until` (monotonic seconds).
        """
        for channel in [channel for channel in self._channels if channel.has_ended()]:
            self._drop(channel)
        while len(self._channels) < target and not (self._channels and time.monotonic() >= until):
            count = choose_group(len(self._channels), target - len(self._channels))
            opened, error = open_group(self._open_smtp, count)
            for smtp in opened:
                channel = Channel(smtp, self._sender, self._known)
                # Register first: _drop needs every listed channel registered, even after an exception.
                self._selector.register(channel.socket, selectors.EVENT_READ, channel)
                self._channels.append(channel)
            if error:
                raise error
        while len(self._channels) > target:
            self._drop(self._channels[-1])

    def hand_over(
        self,
        letters: Iterable[Letter],
        until: float,
        results: list[Result] | None = None,
        must_stop: Callable[[Result], bool] = lambda _: False,
        journal: Journal | None = None,
    ) -> list[Result]:
        """Hand over `letters`; start none after `until` (monotonic seconds) or once `must_stop` is true.

        Takes letters one by one as sessions become free, so rendering may be lazy. Returns exactly one
        result for each letter taken; adds them to `results`, if given, even when an exception ends the call.
        """
        waiting = iter(letters)
        results = [] if results is None else results
        stopped = False

        def next_letter() -> Letter | None:
            if stopped or time.monotonic() >= until:
                return None
            return next(waiting, None)

        def report(result: Result) -> None:
            nonlocal stopped
            results.append(result)
            stopped |= must_stop(result) or result.verdict in ENDS_WINDOW

        try:
            for channel in list(self._channels):
                start = partial(channel.session.start, next_letter, report, journal or self._journal)
                self._run_step(channel, start)
            while busy := [channel for channel in self._channels if not channel.session.is_idle]:
                self._poll(busy)
        except BaseException:  # such as a full disk or a job timeout: letters in progress need a result
            for channel in [channel for channel in self._channels if not channel.session.is_idle]:
                channel.session.abort("the sending process failed", is_interrupted=True)
                self._drop(channel)
            raise
        return results

    def close(self) -> None:
        """End all sessions."""
        for channel in list(self._channels):
            self._drop(channel)
        self._selector.close()

    def _poll(self, busy: list[Channel]) -> None:
        for channel in busy:
            channel.renew_deadline(self._letter_seconds)
            self._run_step(channel, channel.flush)
        alive = [channel for channel in busy if channel in self._channels]
        for channel in alive:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.session.outgoing else 0)
            if self._selector.get_key(channel.socket).events != events:
                self._selector.modify(channel.socket, events, channel)
        nearest = min((channel.deadline for channel in alive), default=0.0)
        ready = self._selector.select(max(0.0, nearest - time.monotonic())) if alive else []
        for key, events in ready:
            if events & selectors.EVENT_READ:
                self._run_step(key.data, key.data.read)
        now = time.monotonic()
        for channel in alive:
            if channel in self._channels and not channel.session.is_idle and now >= channel.deadline:
                # The replies just read may have moved the session on to the next letter.
                channel.renew_deadline(self._letter_seconds)
                if now >= channel.deadline:
                    self._abort(channel, f"no reply within {self._letter_seconds:g} s", is_silent=True)

    def _run_step(self, channel: Channel, step: Callable[[], None]) -> None:
        try:
            step()
        except SessionLost as lost:
            self._abort(channel, str(lost))

    def _abort(self, channel: Channel, reason: str, *, is_silent: bool = False) -> None:
        logger.info("a session with the mail server ended: %s", reason)
        channel.session.abort(reason, is_silent=is_silent)
        self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        self._channels.remove(channel)
        self._selector.unregister(channel.socket)
        channel.close()
