"""Real HTTPS servers on loopback: one that receives calls, and one that responds as a test says."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MAX_REQUEST = 2 * 1024 * 1024


@dataclass(frozen=True)
class Received:
    """A request as it arrived; names of headers are in lowercase."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    def verify(self, secret: str) -> Any:
        """Return the event if the signature is valid, as the library of receivers does; raises its error."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """A server that stores requests and responds with `respond`, over connections that stay open.

    `respond` gets the connection and the request, and returns whether the connection stays open.
    """

    tls: ssl.SSLContext
    respond: Callable[[ssl.SSLSocket, Received], bool] = field(default=lambda *_: send(_[0], OK))
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    keeps_requests: bool = True

    def __enter__(self) -> "Receiver":
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for open_socket in (self._listener, *self._open):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.requests]

    @property
    def types(self) -> list[str]:
        return [request.event["type"] for request in self.requests]

    def respond_with(self, *responses: bytes) -> None:
        """Respond with these bytes in turn, each on its own connection; the last one repeats."""
        left = list(responses)

        def respond(connection: ssl.SSLSocket, _request: Received) -> bool:
            send(connection, left.pop(0) if len(left) > 1 else left[0])
            return False

        self.respond = respond

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                accepted, _address = self._listener.accept()
                self.connections += 1
                self._open.append(accepted)
                threading.Thread(target=self._serve, args=[accepted], daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError, ValueError):
            connection = self.tls.wrap_socket(accepted, server_side=True)
            self._open.append(connection)
            with connection:
                while (request := read_request(connection)) is not None:
                    if self.keeps_requests:
                        self.requests.append(request)
                    if not self.respond(connection, request):
                        return


def send(connection: ssl.SSLSocket, response: bytes) -> bool:
    connection.sendall(response)
    return True


def response_of(code: int, text: str = "", headers: str = "") -> bytes:
    """Return a response with a code and a text."""
    body = text.encode()
    return f"HTTP/1.1 {code} Reason\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def read_request(connection: ssl.SSLSocket) -> Received | None:
    """Return the next request; None if the client has closed the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(65_536)):
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < min(int(headers["content-length"]), MAX_REQUEST):
        body += connection.recv(65_536)
    return Received(line, headers, body)
