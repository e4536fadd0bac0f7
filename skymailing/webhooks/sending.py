"""Send calls over HTTPS to an address that a user entered.

Connections are made by `safe_http.connection`. Redirects are not followed. Only a response's code and the
start of its text are read.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from skymailing.delivery.smtp.connection import describe_tls_error
from skymailing.delivery.smtp.public_addresses import Network, NotPublic
from skymailing.models.webhook import RESPONSE_MAX_LENGTH
from skymailing.safe_http.connection import (
    Deadline,
    ReadableSocket,
    ResponseTooLong,
    connect,
    write,
    write_head,
)
from skymailing.webhooks.urls import EndpointUrl

CALL_SECONDS = 10.0
IDLE_SECONDS = 15.0  # for which an idle connection may be reused; its address was checked on opening
MAX_HEADER_BYTES = 32 * 1024
# A longer response is not read to its end, so its connection is closed.
MAX_BODY_BYTES = 8 * 1024
USER_AGENT = "SkyMailing-Webhooks"

# Faults, as stored; `words` translates them.
NOT_PUBLIC = "the host has no public address"
NOT_FOUND = "the host was not found"
TOO_SLOW = f"no response within {CALL_SECONDS:.0f} seconds"
NOT_HTTP = "the response is not valid HTTP"
TOO_LONG = "the response is too long"


class CallFailed(Exception):
    """There was no response; the text gives the reason."""


@dataclass(frozen=True, slots=True)
class CallResponse:
    """The endpoint's response: its code, and the start of its text."""

    code: int
    text: str

    @property
    def is_accepted(self) -> bool:
        return 200 <= self.code < 300


@dataclass(slots=True)
class Connection:
    """An open connection to an endpoint."""

    socket: socket.socket
    used_at: float = field(default_factory=time.monotonic)

    def is_usable(self) -> bool:
        """Return whether another call may use it; a server may close it at any time."""
        return time.monotonic() - self.used_at < IDLE_SECONDS

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


@dataclass(frozen=True, slots=True)
class Call:
    """A request to send: the headers, which include the signature, and the body."""

    headers: Mapping[str, str]
    body: bytes


class Caller:
    """Sends calls to one endpoint over one connection, which is opened when it is needed."""

    def __init__(
        self, url: EndpointUrl, allowed: Collection[Network] = (), connection: Connection | None = None
    ) -> None:
        self._url = url
        self._allowed = allowed
        self._connection = connection

    def give_back(self) -> Connection | None:
        """Return the connection if it is still open; the caller must not be used again."""
        connection, self._connection = self._connection, None
        return connection

    def send(self, call: Call) -> CallResponse:
        """Send a call; raises CallFailed if there is no response within CALL_SECONDS."""
        deadline = Deadline(CALL_SECONDS)
        try:
            if self._connection is not None and self._connection.is_usable():
                try:
                    return self._exchange(self._connection, call, deadline)
                except (ConnectionError, ssl.SSLEOFError, http.client.BadStatusLine):
                    pass  # the server closed the idle connection; receivers detect repeated IDs
            self._close()
            url, allowed = self._url, self._allowed
            self._connection = Connection(
                connect(url.host, url.port, is_encrypted=True, allowed=allowed, deadline=deadline)
            )
            return self._exchange(self._connection, call, deadline)
        except (OSError, ValueError, ResponseTooLong, http.client.HTTPException) as error:
            raise CallFailed(_describe(error)) from error

    def _exchange(self, connection: Connection, call: Call, deadline: Deadline) -> CallResponse:
        can_be_kept = False
        try:
            write(connection.socket, _write_request(self._url, call), deadline)
            readable: Any = ReadableSocket(connection.socket, deadline, MAX_HEADER_BYTES + MAX_BODY_BYTES)
            response = http.client.HTTPResponse(readable, method="POST")
            response.begin()
            start = _read_start(response)
            can_be_kept = response.isclosed() and not response.will_close
            connection.used_at = time.monotonic()
            return CallResponse(response.status, _clean(start, response.headers))
        finally:
            if not can_be_kept:
                self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read_start(response: http.client.HTTPResponse) -> bytes:
    """Return the start of a response's text; the code is valid even if the text is incomplete."""
    try:
        return response.read(MAX_BODY_BYTES)
    except (OSError, ResponseTooLong, http.client.HTTPException):
        return b""


def _write_request(url: EndpointUrl, call: Call) -> bytes:
    """Return the request; its parts are checked or generated by us, so none contains a line break."""
    host = url.host if url.port == 443 else f"{url.host}:{url.port}"
    headers = {
        "Host": host,
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
        "Content-Length": str(len(call.body)),
        "Accept-Encoding": "identity",
        **call.headers,
    }
    return write_head("POST", url.target, headers) + call.body


def _clean(start: bytes, headers: Any) -> str:
    """Return the start of a response as one line of text; empty if it is compressed."""
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        return ""
    text = start[: 4 * RESPONSE_MAX_LENGTH].decode(errors="replace")
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())[:RESPONSE_MAX_LENGTH]


def _describe(error: Exception) -> str:
    """Return the reason why there is no response, without addresses of our network."""
    match error:
        case NotPublic():
            return NOT_PUBLIC
        case socket.gaierror():
            return NOT_FOUND
        case ssl.SSLError():
            return f"TLS failed: {describe_tls_error(error)}"
        case TimeoutError():
            return TOO_SLOW
        case http.client.HTTPException():
            return NOT_HTTP
        case ResponseTooLong():
            return TOO_LONG
        case OSError():
            return f"no connection: {error.strerror or 'closed by the server'}"
    return "the call could not be sent"
