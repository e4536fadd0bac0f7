"""Connect to a web server whose address a user entered, and read its response.

The host is resolved once per connection, and the socket is connected to one of the checked addresses
(`public_addresses`). Proxy settings in the environment are ignored. The time limit covers everything,
including the DNS lookup. Webhooks and link checks use this module.
"""

import io
import socket
import time
from collections.abc import Collection, Mapping
from typing import Any

from skymailing.delivery.smtp import public_addresses
from skymailing.delivery.smtp.connection import verifying_context
from skymailing.delivery.smtp.public_addresses import Network


class ResponseTooLong(Exception):
    """The response is longer than the limit."""


class Deadline:
    """The time by which a call must have ended."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; raises TimeoutError if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left


class LimitedReader(io.RawIOBase):
    """Reads a limited number of bytes from a socket until the deadline.

    Otherwise, a server that sends a byte from time to time could keep us waiting forever.
    """

    def __init__(self, connected: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._left = most_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            raise ResponseTooLong
        self._socket.settimeout(self._deadline.left())
        count = self._socket.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


class ReadableSocket:
    """The part of a socket's interface that http.client uses."""

    def __init__(self, connected: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        self._reader = LimitedReader(connected, deadline, most_bytes)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file from which the response is read."""
        return io.BufferedReader(self._reader)


def connect(
    host: str, port: int, *, is_encrypted: bool, allowed: Collection[Network], deadline: Deadline
) -> socket.socket:
    """Return a connected socket; raises OSError, or NotPublic if the host has no public address."""
    seconds = deadline.left()
    connected = public_addresses.connect(host, port, seconds, allowed, deadline.left)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Limits the handshake as a whole, however slowly the server responds.
        connected.settimeout(deadline.left())
        if not is_encrypted:
            return connected
        return verifying_context().wrap_socket(connected, server_hostname=host)
    except BaseException:  # never leave the connection open
        connected.close()
        raise


def write(connected: socket.socket, request: bytes, deadline: Deadline) -> None:
    """Send a request before the deadline."""
    unsent = memoryview(request)
    while unsent:  # not sendall(), whose timeout starts again with every part
        connected.settimeout(deadline.left())
        unsent = unsent[connected.send(unsent) :]


def write_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request; raises ValueError if a part contains a line break."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a header contains a line break")
    return f"{head}\r\n\r\n".encode("ascii")
