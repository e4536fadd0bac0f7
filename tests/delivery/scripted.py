"""Provide a small SMTP server that follows a test's script, even if that violates the protocol."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Dialogue = Callable[["Peer"], None]
CLOSING_SECONDS = 2.0


@dataclass
class Peer:
    """One accepted connection, from the server's point of view."""

    connection: socket.socket
    received: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = self.connection.makefile("rb")

    def send(self, text: str | bytes) -> None:
        self.connection.sendall(text if isinstance(text, bytes) else text.encode() + b"\r\n")

    def read(self) -> str:
        line = self.file.readline()
        if not line:
            raise ConnectionError
        text = line.decode().rstrip("\r\n")
        self.received.append(text)
        return text

    def greet(self, *extensions: str) -> None:
        self.send("220 scripted")
        self.read()
        self.send("250-scripted")
        for extension in extensions:
            self.send(f"250-{extension}")
        self.send("250 HELP")

    def read_body(self) -> str:
        lines = []
        while (line := self.read()) != ".":
            lines.append(line)
        return "\n".join(lines)

    def accept(self) -> str:
        """Accept one letter as a correct server does; return its recipient."""
        self.read()
        self.send("250 sender ok")
        recipient = self.read()
        self.send("250 recipient ok")
        self.read()
        self.send("354 go on")
        self.read_body()
        self.send("250 2.0.0 accepted")
        return recipient.removeprefix("RCPT TO:<").rstrip(">")


@contextmanager
def scripted_server(*dialogues: Dialogue) -> Iterator[int]:
    """Serve each connection with its own dialogue, repeating the last one; yield the port.

    When the block ends, the dialogues have CLOSING_SECONDS to read what the client has sent.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    open_connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(number: int, connection: socket.socket) -> None:
        try:
            dialogues[min(number, len(dialogues) - 1)](Peer(connection))
        except (ConnectionError, OSError):
            pass
        finally:
            connection.close()

    def accept() -> None:
        number = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_connections.append(connection)
            threads.append(threading.Thread(target=serve, args=(number, connection), daemon=True))
            threads[-1].start()
            number += 1

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        end_dialogues(threads, open_connections)


def end_dialogues(threads: list[threading.Thread], open_connections: list[socket.socket]) -> None:
    """Let dialogues read what has arrived, but not wait for more, and close all connections."""
    for connection in open_connections:
        with suppress(OSError):  # it is closed already
            connection.shutdown(socket.SHUT_RD)  # otherwise idle sessions of the client would stay open
    deadline = time.monotonic() + CLOSING_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    for connection in open_connections:
        connection.close()
