"""Open sessions with the mail server, with verified certificates and time limits."""

import base64
import functools
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import IO, Any, Protocol, cast

from flask import current_app

from skymailing.delivery.smtp import public_addresses
from skymailing.delivery.smtp.public_addresses import Network
from skymailing.delivery.smtp.replies import decode_reply

MAX_REPLY_BYTES = 16_384
MIN_SECRET_LENGTH = 4  # characters; shorter ones occur in ordinary words
# Replies are stored and shown, so they may not contain these. smtplib separates a reply's lines with \n.
CONTROLS = bytes(byte for byte in (*range(32), 127) if byte != ord("\n"))
TO_SPACES = bytes.maketrans(CONTROLS, b" " * len(CONTROLS))


class Phase(StrEnum):
    """The steps of opening a session, in order; with MAIL_USE_SSL, TLS comes before the greeting."""

    CONNECT = "connect"  # DNS lookup and TCP connection
    GREETING = "greeting"
    EHLO = "ehlo"
    TLS = "tls"  # STARTTLS, if used, and the handshake
    AUTH = "auth"


class Phases:
    """Measure the seconds that each phase of opening a session takes, including a phase that fails."""

    def __init__(self) -> None:
        self.seconds: dict[Phase, float] = {}
        self._current: Phase | None = None
        self._since = 0.0

    def enter(self, phase: Phase | None) -> None:
        """End the current phase and begin another, if any."""
        now = time.monotonic()
        if self._current:
            self.seconds[self._current] = self.seconds.get(self._current, 0.0) + now - self._since
        self._current, self._since = phase, now


class CountingReader:
    """A file that raises OSError once a reply has become too long."""

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
    """Reject endless replies: smtplib would collect their lines until memory or time runs out.

    Also replace control characters, which the databases cannot store.
    """

    file: Any
    sock: socket.socket | None

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply as smtplib does; raises SMTPServerDisconnected if it is too long."""
        if self.file is None and self.sock is not None:
            self.file = self.sock.makefile("rb")
        file = self.file
        self.file = CountingReader(file)
        try:
            code, text = super().getreply()  # type: ignore[misc]  # smtplib's
        finally:
            if self.file is not None:  # smtplib removes it when it closes the session
                self.file = file
        return code, text.translate(TO_SPACES)


class PlainSession(BoundedReplies, smtplib.SMTP):
    """A session that begins unencrypted and may continue with STARTTLS."""

    phases: Phases
    # The private networks to which it may connect, besides public addresses; None: to any address.
    allowed: Collection[Network] | None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = _connect(self, host, port, timeout)
        self.phases.enter(Phase.GREETING)
        return connected


class TlsSession(BoundedReplies, smtplib.SMTP_SSL):
    """A session that is encrypted from the first byte."""

    phases: Phases
    allowed: Collection[Network] | None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = _connect(self, host, port, timeout)
        self.phases.enter(Phase.TLS)
        encrypted = self.context.wrap_socket(connected, server_hostname=self._host)  # type: ignore[attr-defined]
        self.phases.enter(Phase.GREETING)
        return cast(socket.socket, encrypted)


def _connect(smtp: PlainSession | TlsSession, host: str, port: int, timeout: float) -> socket.socket:
    if smtp.allowed is None:
        return socket.create_connection((host, port), timeout)
    return public_addresses.connect(host, port, timeout, smtp.allowed)


class SmtpSettings(Protocol):
    """Address and credentials of a mail server; Flask-Mail's state object has these attributes."""

    @property
    def server(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def use_tls(self) -> bool: ...

    @property
    def use_ssl(self) -> bool: ...

    @property
    def username(self) -> str | None: ...

    @property
    def password(self) -> str | None: ...


def open_smtp(
    timeout: float,
    settings: SmtpSettings | None = None,
    phases: Phases | None = None,
    allowed: Collection[Network] | None = None,
) -> smtplib.SMTP:
    """Open a session: greeting, encryption and login as in `settings` (default: Flask-Mail's).

    `timeout` (seconds) limits opening as a whole, and each later operation. `phases` records how long
    each phase took. With `allowed`, the server needs a public address, or one in these networks. Raises
    OSError, which includes smtplib's errors and rejected certificates. With `use_tls` the session never
    continues unencrypted, even if the server does not offer STARTTLS.
    """
    settings = settings or current_app.extensions["mail"]
    smtp = _prepare(settings, timeout)
    smtp.phases, smtp.allowed = phases or Phases(), allowed
    try:
        with time_limit(smtp, timeout):
            _connect_and_log_in(smtp, settings)
    except (smtplib.SMTPResponseException, ssl.SSLError) as error:  # SSL errors may be ValueErrors, too
        smtp.close()
        _hide_password(error, settings)
        raise
    except UnicodeError as error:
        smtp.close()
        # Omit the text of the error: it may contain characters of the password.
        raise OSError("the user name or password contains characters that SMTP cannot transmit") from error
    except ValueError as error:  # raised by smtplib for a challenge that is not base64
        smtp.close()
        raise OSError(f"the mail server sent an invalid reply: {error}") from error
    except BaseException:  # leave no socket open, even if a job exceeds its time limit
        smtp.close()
        raise
    finally:
        smtp.phases.enter(None)
    return smtp


def _prepare(settings: SmtpSettings, timeout: float) -> PlainSession | TlsSession:
    smtp: PlainSession | TlsSession = (
        TlsSession(local_hostname=find_own_hostname(), timeout=timeout, context=verifying_context())
        if settings.use_ssl
        else PlainSession(local_hostname=find_own_hostname(), timeout=timeout)
    )
    # The certificate is checked against this name, which smtplib sets only when it connects in __init__.
    smtp._host = settings.server  # type: ignore[union-attr]
    return smtp


def _connect_and_log_in(smtp: PlainSession | TlsSession, settings: SmtpSettings) -> None:
    smtp.phases.enter(Phase.CONNECT)
    code, greeting = smtp.connect(settings.server, settings.port)
    if code != 220:
        raise smtplib.SMTPConnectError(code, greeting)
    smtp.phases.enter(Phase.EHLO)
    smtp.ehlo_or_helo_if_needed()
    if settings.use_tls:
        smtp.phases.enter(Phase.TLS)
        smtp.starttls(context=verifying_context())
        # RFC 3207: discard what the server announced before encryption.
        smtp.phases.enter(Phase.EHLO)
        smtp.ehlo_or_helo_if_needed()
    if settings.username and settings.password:
        smtp.phases.enter(Phase.AUTH)
        smtp.login(settings.username, settings.password)


def _hide_password(error: OSError, settings: SmtpSettings) -> None:
    """Remove the password from a reply: some servers repeat the command that they refuse."""
    if not isinstance(error, smtplib.SMTPResponseException) or not isinstance(error.smtp_error, bytes):
        return
    username, password = settings.username or "", settings.password or ""
    if len(password) < MIN_SECRET_LENGTH:
        return
    sent = (f"\0{username}\0{password}", password)
    for form in (*(base64.b64encode(text.encode()) for text in sent), password.encode()):
        error.smtp_error = error.smtp_error.replace(form, b"[secret]")
    error.args = (error.smtp_code, error.smtp_error)


@contextmanager
def time_limit(smtp: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Hang up after `seconds`: if a server sends one line a second, the socket timeout is never reached."""
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
    """Return the TLS context for all sessions, created once because loading the certificates takes 40 ms."""
    return ssl.create_default_context()


@functools.cache
def find_own_hostname() -> str | None:
    """Return the name for EHLO, looked up once because DNS may be slow; None lets smtplib choose."""
    name = socket.getfqdn()
    return name if "." in name else None


def format_error(error: OSError) -> str:
    """Return the server's reply that ended a session, or the system's error message."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        text = decode_reply(reply) if isinstance(reply, bytes) else str(reply)
        return f"{error.smtp_code} {text}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {describe_tls_error(error)}"
    return str(error)


def describe_tls_error(error: ssl.SSLError) -> str:
    """Return the reason, without the names of OpenSSL's functions and files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not valid: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()


def is_busy(error: OSError) -> bool:
    """Return whether the server temporarily refused a session: with a 4xx reply, or by closing it."""
    return isinstance(error, smtplib.SMTPServerDisconnected) or (get_reply_code(error) or 0) // 100 == 4


def get_reply_code(error: OSError) -> int | None:
    """Return the reply code, if the server's reply ended the session."""
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None
