"""Provide an SMTP server that stores accepted letters and misbehaves at any step according to a script."""

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

from tests.delivery.scripted import Peer
from tests.support.servers import Letter


class Stage(StrEnum):
    """The step of a session: the command that the server has just received, or the connection."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "after the dot"
    RSET = "RSET"
    QUIT = "QUIT"


REPLIES = {
    Stage.GREETING: "220 sink",
    Stage.STARTTLS: "220 go ahead",
    Stage.AUTH: "235 2.7.0 welcome",
    Stage.MAIL: "250 2.1.0 ok",
    Stage.RCPT: "250 2.1.5 ok",
    Stage.DATA: "354 go on",
    Stage.RSET: "250 2.0.0 ok",
    Stage.QUIT: "221 2.0.0 bye",
}


@dataclass
class Turn:
    """The server's turn to reply: a script replies itself or leaves the reply to the default behaviour."""

    sink: "Sink"
    peer: Peer
    connection: int  # number, starting at 1
    stage: Stage = Stage.GREETING
    line: str = ""  # the last command
    recipient: str = ""
    content: bytes = b""
    said: str = ""
    encrypted: bool = False
    has_sender: bool = False

    def say(self, text: str | bytes) -> None:
        self.said = text if isinstance(text, str) else "?"
        self.peer.send(text)

    def keep(self) -> None:
        """Store the letter as accepted."""
        self.sink.letters.append(Letter("", [self.recipient], self.content))

    def hang_up(self) -> None:
        raise ConnectionAbortedError

    def wait_for_client(self) -> None:
        """Send nothing until the client gives up."""
        while self.peer.file.readline():
            pass
        self.hang_up()


Script = Callable[[Turn], None]


def behave(turn: Turn) -> None:
    """Leave every reply to the default behaviour, that of a correct server."""


def allow_sessions(limit: int, reply: str = "421 4.7.0 too many connections") -> Script:
    """Return a script that refuses more than `limit` simultaneous sessions, silently if `reply` is empty."""

    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.GREETING and turn.sink.open_sessions > limit:
            if reply:
                turn.say(reply)
            turn.hang_up()

    return refuse


@dataclass
class Sink:
    """A context manager that runs the server; it records accepted letters and counts each stage."""

    script: Script = behave
    extensions: tuple[str, ...] = ("PIPELINING",)
    tls: ssl.SSLContext | None = None
    port: int = 0
    host: str = "127.0.0.1"
    letters: list[Letter] = field(default_factory=list)
    stage_counts: Counter[Stage] = field(default_factory=Counter)
    started: list[tuple[float, str]] = field(
        default_factory=list
    )  # monotonic time and recipient of each letter
    unencrypted: list[str] = field(default_factory=list)  # every command sent without TLS
    open_sessions: int = 0
    _connections: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self.host, self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            _close(connection)

    @property
    def connections(self) -> int:
        return self.stage_counts[Stage.GREETING]

    def per_address(self) -> Counter[str]:
        """Return how many letters each address got."""
        return Counter(letter.to for letter in self.letters)

    def close_idle_sessions(self, text: str) -> None:
        """End all idle sessions with an unsolicited reply."""
        for connection in self._connections:
            with suppress(OSError):
                connection.sendall(text.encode() + b"\r\n")
                connection.shutdown(socket.SHUT_WR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # Otherwise each of several replies to pipelined commands waits for a delayed ACK.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            with self._lock:
                self.open_sessions += 1
                self.stage_counts[Stage.GREETING] += 1
                turn = Turn(self, Peer(connection), self.connections)
            threading.Thread(target=self._serve, args=(turn,), daemon=True).start()

    def _serve(self, turn: Turn) -> None:
        try:
            self._reply(turn)
            while turn.stage is not Stage.QUIT:
                self._handle_command(turn)
        except (OSError, ValueError):  # a ValueError means that the sink was closed during a read
            pass
        finally:
            _close(turn.peer.connection)
            with self._lock:
                self.open_sessions -= 1

    def _handle_command(self, turn: Turn) -> None:
        line = turn.line = turn.peer.read()
        if not turn.encrypted:
            self.unencrypted.append(line)
        verb = line.partition(" ")[0].upper()
        turn.stage = Stage.EHLO if verb == "HELO" else Stage(verb)
        with self._lock:
            self.stage_counts[turn.stage] += 1
        if turn.stage is Stage.MAIL:
            turn.recipient = ""
        elif turn.stage is Stage.RCPT and not turn.has_sender:
            turn.say("503 5.5.1 need MAIL first")
            return
        elif turn.stage is Stage.RCPT:
            turn.recipient = line.removeprefix("RCPT TO:<").removesuffix(">")
            self.started.append((time.monotonic(), turn.recipient))
        elif turn.stage is Stage.DATA and not turn.recipient:
            turn.say("554 no valid recipients")
            return
        self._reply(turn)
        if turn.stage is Stage.MAIL:
            turn.has_sender = turn.said.startswith("2")
        elif turn.stage is Stage.RCPT and not turn.said.startswith("2"):
            turn.recipient = ""
        elif turn.stage is Stage.DATA and turn.said.startswith("354"):
            turn.content = _read_body(turn.peer)
            turn.stage = Stage.DOT
            self._reply(turn)
        elif turn.stage is Stage.STARTTLS and self.tls and turn.said.startswith("220"):
            connection = self.tls.wrap_socket(turn.peer.connection, server_side=True)
            self._connections.append(connection)
            turn.peer = Peer(connection)
            turn.encrypted = True

    def _reply(self, turn: Turn) -> None:
        turn.said = ""
        self.script(turn)
        if turn.said:
            return
        if turn.stage is Stage.EHLO:
            omitted = {"STARTTLS"} if turn.encrypted else set()
            lines = ["sink", *(name for name in self.extensions if name not in omitted), "HELP"]
            turn.say("\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))
        elif turn.stage is Stage.DOT:
            turn.keep()
            turn.say(f"250 2.0.0 queued as {len(self.letters)}")
        else:
            turn.say(REPLIES[turn.stage])


def _read_body(peer: Peer) -> bytes:
    lines = []
    while (line := peer.file.readline()) != b".\r\n":
        if not line:
            raise ConnectionAbortedError
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        # The peer's file holds a second handle, so closing only this one has no effect.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
