"""Sessions with the configured mail server: verified TLS or none at all, and never without end."""

import functools
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from types import TracebackType
from typing import IO, Any, Protocol, cast

from flask import current_app
from flask_mail import Connection

MAX_REPLY_BYTES = 16_384
# What a server says is stored and shown; a line end is what smtplib puts between lines.
CONTROLS = bytes(byte for byte in (*range(32), 127) if byte != ord("\n"))
TO_SPACES = bytes.maketrans(CONTROLS, b" " * len(CONTROLS))


class Phase(StrEnum):
    """What opening a session goes through, in this order; TLS comes before the greeting with MAIL_USE_SSL."""

    CONNECT = "connect"  # the name's address and the connection to it
    GREETING = "greeting"
    EHLO = "ehlo"
    TLS = "tls"  # STARTTLS, if it takes one, and the handshake
    AUTH = "auth"


class Phases:
    """A stopwatch for opening a session: seconds by phase, those of the one that failed included."""

    def __init__(self) -> None:
        self.seconds: dict[Phase, float] = {}
        self._current: Phase | None = None
        self._since = 0.0

    def enter(self, phase: Phase | None) -> None:
        """End the phase under way and begin another one, if any."""
        now = time.monotonic()
        if self._current:
            self.seconds[self._current] = self.seconds.get(self._current, 0.0) + now - self._since
        self._current, self._since = phase, now


class CountingReader:
    """A file that may be read until one reply has become too long."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_REPLY_BYTES

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("the server's reply does not end")
        return line

    def close(self) -> None:
        self._file.close()


class BoundedReplies:
    """Cuts off a reply without end, whose lines smtplib would collect until memory or time is up.

    Has no control characters in it either, which no database would store.
    """

    file: Any
    sock: socket.socket | None

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply as smtplib does; raises SMTPServerDisconnected for one that is too long."""
        if self.file is None and self.sock is not None:
            self.file = self.sock.makefile("rb")
        file = self.file
        self.file = CountingReader(file)
        try:
            code, words = super().getreply()  # type: ignore[misc]  # smtplib's
        finally:
            if self.file is not None:  # smtplib drops it when it closes the session
                self.file = file
        return code, words.translate(TO_SPACES)


class PlainSession(BoundedReplies, smtplib.SMTP):
    """A session that begins in the clear, perhaps to go on with STARTTLS."""

    phases: Phases

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # not in the stubs
        self.phases.enter(Phase.GREETING)
        return cast(socket.socket, connected)


class TlsSession(BoundedReplies, smtplib.SMTP_SSL):
    """A session that is encrypted from its first byte."""

    phases: Phases

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = smtplib.SMTP._get_socket(self, host, port, timeout)  # type: ignore[attr-defined]  # not in the stubs
        self.phases.enter(Phase.TLS)
        encrypted = self.context.wrap_socket(connected, server_hostname=self._host)  # type: ignore[attr-defined]
        self.phases.enter(Phase.GREETING)
        return cast(socket.socket, encrypted)


class SmtpSettings(Protocol):
    """How to reach and enter a mail server; Flask-Mail's own settings fit."""

    server: str
    port: int
    use_tls: bool
    use_ssl: bool
    username: str | None
    password: str | None


def open_smtp(
    timeout: float, settings: SmtpSettings | None = None, phases: Phases | None = None
) -> smtplib.SMTP:
    """Return a session that is greeted, encrypted and signed in as the settings say (Flask-Mail's).

    `timeout` in seconds bounds the opening as a whole and each later operation; `phases` learns what
    took how long. Raises OSError, of which smtplib's errors and failed certificates are kinds. Goes on
    unencrypted never when MAIL_USE_TLS is set, whatever the server offers.
    """
    settings = settings or current_app.extensions["mail"]
    smtp: PlainSession | TlsSession = (
        TlsSession(local_hostname=own_hostname(), timeout=timeout, context=verifying_context())
        if settings.use_ssl
        else PlainSession(local_hostname=own_hostname(), timeout=timeout)
    )
    smtp.phases = phases or Phases()
    # The certificate is checked against this name, which smtplib sets only when it connects at once.
    smtp._host = settings.server  # type: ignore[union-attr]
    try:
        with time_limit(smtp, timeout):
            _enter(smtp, settings)
    except UnicodeError as error:
        smtp.close()
        # Not the error's own words, which may be letters of the password.
        raise OSError("the settings MAIL_* hold letters that SMTP cannot carry") from error
    except ValueError as error:  # smtplib's, of a challenge that is not base64
        smtp.close()
        raise OSError(f"the mail server makes no sense: {error}") from error
    except BaseException:
        # Whatever ended it, also a job out of time: no open socket stays behind.
        smtp.close()
        raise
    finally:
        smtp.phases.enter(None)
    return smtp


def _enter(smtp: PlainSession | TlsSession, settings: SmtpSettings) -> None:
    smtp.phases.enter(Phase.CONNECT)
    code, greeting = smtp.connect(settings.server, settings.port)
    if code != 220:
        raise smtplib.SMTPConnectError(code, greeting)
    smtp.phases.enter(Phase.EHLO)
    smtp.ehlo_or_helo_if_needed()
    if settings.use_tls:
        smtp.phases.enter(Phase.TLS)
        smtp.starttls(context=verifying_context())
        # What was said in the clear counts no more.
        smtp.phases.enter(Phase.EHLO)
        smtp.ehlo_or_helo_if_needed()
    if settings.username and settings.password:
        smtp.phases.enter(Phase.AUTH)
        smtp.login(settings.username, settings.password)


@contextmanager
def time_limit(smtp: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Hang up after this time: a server that drips a line a second never meets a socket's time-out."""
    timer = threading.Timer(seconds, _hang_up, [smtp])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(smtp: smtplib.SMTP) -> None:
    if smtp.sock is not None:
        with suppress(OSError):
            smtp.sock.shutdown(socket.SHUT_RDWR)


@functools.cache
def verifying_context() -> ssl.SSLContext:
    """Return the TLS context of all sessions, made once as reading the certificates takes 40 ms."""
    return ssl.create_default_context()


@functools.cache
def own_hostname() -> str | None:
    """Return what to say at EHLO, asked once as a slow DNS answers slowly; None lets smtplib choose."""
    name = socket.getfqdn()
    return name if "." in name else None


class SecureConnection(Connection):
    """Flask-Mail's connection with time limits and certificates checked, which it lacks."""

    def configure_host(self) -> smtplib.SMTP:
        return open_smtp(current_app.config["MAIL_TIMEOUT"])

    @property
    def session(self) -> smtplib.SMTP:
        """The session with the server, between entering and leaving."""
        assert self.host is not None
        return self.host

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Whatever happens at QUIT, the letters before it are accepted.
        with suppress(OSError):
            self.session.quit()
        self.session.close()


def describe(error: OSError) -> str:
    """Return what went wrong with a session in the server's words, or the system's."""
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
        return f"{error.smtp_code} {text}"
    return str(error)


def code_of(error: OSError) -> int | None:
    """Return the server's reply code, if it was a reply that ended the session."""
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None
