"""What a mail server says, cut into replies and never without end (RFC 5321, 4.2)."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_REPLY_BYTES = 16_384
MAX_REPLY_LINES = 100
REPLY_LINE = re.compile(rb"(\d{3})(?:([ -])(.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    text: str


class SessionLost(Exception):
    """The conversation cannot go on: closed, timed out, or unintelligible."""


class ReplyReader:
    """Cuts a stream of bytes into replies, bounded in lines and bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Yield the replies that are complete now; raises SessionLost at what is not SMTP."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if reply := self._take_line(line):
                yield reply
        if self._size + len(self._rest) > MAX_REPLY_BYTES:
            raise SessionLost("the server's reply does not end")

    def _take_line(self, line: bytes) -> Reply | None:
        if len(line) > MAX_REPLY_BYTES:
            raise SessionLost("the server's reply does not end")
        parsed = parse_line(line)
        if parsed is None:
            raise SessionLost(f"the server answered {line[:200]!r}, which is not SMTP")
        code, goes_on, text = parsed
        if goes_on:
            self._size += len(line)
            self._texts.append(text)
            if len(self._texts) > MAX_REPLY_LINES:
                raise SessionLost("the server's reply does not end")
            return None
        if self._texts:
            text = " ".join([*self._texts, text])
            self._texts, self._size = [], 0
        return Reply(code, text.strip())


# Three of the four replies to a letter are always the same.
@functools.lru_cache(maxsize=64)
def parse_line(line: bytes) -> tuple[int, bool, str] | None:
    """Return code, whether the reply goes on, and text of one line; None when it is not SMTP."""
    match = REPLY_LINE.match(line.rstrip(b"\r"))
    if match is None:
        return None
    return int(match[1]), match[2] == b"-", printable((match[3] or b"").decode("utf-8", "replace"))


def printable(text: str) -> str:
    """Return `text` with spaces for control characters, as it can be stored and shown."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
