"""Split a mail server's output into replies of limited size (RFC 5321, 4.2)."""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_REPLY_BYTES = 16_384
MAX_REPLY_LINES = 100
NOT_LETTERS = re.compile(rb"[^A-Za-z\x80-\xff]+")
REPLY_LINE = re.compile(rb"(\d{3})(?:([ -])(.*))?\Z", re.DOTALL)


class Reply(NamedTuple):
    code: int
    text: str


class SessionLost(Exception):
    """The session cannot continue: closed, timed out, or not SMTP."""


class ReplyReader:
    """Split a stream of bytes into replies, with limits on lines and bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Yield the replies that are now complete; raises SessionLost for data that is not SMTP."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if reply := self._add_line(line):
                yield reply
        if self._size + len(self._rest) > MAX_REPLY_BYTES:
            raise SessionLost("the server's reply does not end")

    def _add_line(self, line: bytes) -> Reply | None:
        if len(line) > MAX_REPLY_BYTES:
            raise SessionLost("the server's reply does not end")
        parsed = parse_line(line)
        if parsed is None:
            raise SessionLost(f"the server replied {line[:200]!r}, which is not SMTP")
        code, is_continued, text = parsed
        if is_continued:
            self._size += len(line)
            self._texts.append(text)
            if len(self._texts) > MAX_REPLY_LINES:
                raise SessionLost("the server's reply does not end")
            return None
        if self._texts:
            text = " ".join([*self._texts, text])
            self._texts, self._size = [], 0
        return Reply(code, text.strip())


# Cached because three of the four replies to a letter are always the same.
@functools.lru_cache(maxsize=64)
def parse_line(line: bytes) -> tuple[int, bool, str] | None:
    """Return a line's code, whether more lines follow, and its text; None if it is not SMTP."""
    match = REPLY_LINE.match(line.rstrip(b"\r"))
    if match is None:
        return None
    return int(match[1]), match[2] == b"-", to_printable(decode_reply(match[3] or b""))


def decode_reply(text: bytes) -> str:
    """Decode a reply: the standard requires UTF-8, but some servers use an older encoding.

    In a Cyrillic encoding most letters are non-ASCII; in a Western one, only those with accents.
    """
    try:
        return text.decode()
    except UnicodeDecodeError:
        words = [word for word in NOT_LETTERS.split(text) if not word.isascii()]
        is_cyrillic = 2 * sum(byte > 127 for word in words for byte in word) > sum(map(len, words))
        return text.decode("cp1251" if is_cyrillic else "cp1252", "replace")


def to_printable(text: str) -> str:
    """Replace control characters in `text` with spaces, so that it can be stored and shown."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
