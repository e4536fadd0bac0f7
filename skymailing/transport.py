"""Sessions with the configured mail server: verified TLS or none at all, and never without end."""

import functools
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import IO, Any, Protocol

from flask import current_app
from flask_mail import Connection

MAX_REPLY_BYTES = 16_384
# What a server says is stored and shown; a line end is what smtplib puts between lines.
CONTROLS = bytes(byte for byte in (*range(32), 127) if byte != ord("\n"))
TO_SPACES = bytes.maketrans(CONTROLS, b" " * len(CONTROLS))


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


class TlsSession(BoundedReplies, smtplib.SMTP_SSL):
    """A session that is encrypted from its first byte."""


class SmtpSettings(Protocol):
    """How to reach and enter a mail server; Flask-Mail's own settings fit."""

    server: str
    port: int
    use_tls: bool
    use_ssl: bool
    username: str | None
    password: str | None


def open_smtp(timeout: float, settings: SmtpSettings | None = None) -> smtplib.SMTP:
    """Return a session that is greeted, encrypted and signed in as the settings say (Flask-Mail's).

    `timeout` in seconds bounds the opening as a whole and each later operation. Raises OSError, of
    which smtplib's errors and failed certificates are kinds. Goes on unencrypted never when
    MAIL_USE_TLS is set, whatever the server offers.
    """
    settings = settings or current_app.extensions["mail"]
    smtp: smtplib.SMTP = (
        TlsSession(local_hostname=own_hostname(), timeout=timeout, context=verifying_context())
        if settings.use_ssl
        else PlainSession(local_hostname=own_hostname(), timeout=timeout)
    )
    # The certificate is checked against this name, which smtplib sets only when it connects at once.
    smtp._host = settings.server  # type: ignore[attr-defined]
    try:
        with time_limit(smtp, timeout):
            code, greeting = smtp.connect(settings.server, settings.port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, greeting)
            if settings.use_tls:
                smtp.starttls(context=verifying_context())
            if settings.username and settings.password:
                smtp.login(settings.username, settings.password)
            smtp.ehlo_or_helo_if_needed()
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
    return smtp


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
