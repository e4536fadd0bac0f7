"""Encode the files attached to letters: once per run, since they are the same in all of its letters."""

import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from skymailing.delivery.rendering.mime import relax

CRLF = b"\r\n"
LINE_BYTES = 57  # encoded in a base64 line of 76 characters, RFC 2045 section 6.8
PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$&+.^_`{}~ -]{1,60}")  # needs no encoding in a quoted string
SEGMENT = 60  # characters in one part of an encoded name
# A segment ends before an escape that does not fit, so that no escape is split.
SEGMENTS = re.compile(rf".{{1,{SEGMENT}}}(?<!%)(?<!%[0-9A-F])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file with its cleaned name and its media type."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a letter, after its text: the files, up to and including the last boundary.

    None of its lines begins with a dot, so doubling dots does not change it.
    """

    content: bytes = b""
    relaxed: bytes = b""  # the form that is signed


NO_TAIL = Tail()


def encode_files(files: Sequence[AttachedFile], boundary: bytes) -> Tail:
    """Return the tail of letters with these files; the text before it ends with a line ending."""
    if not files:
        return NO_TAIL
    pieces: list[bytes] = []
    for file in files:
        pieces += b"--", boundary, CRLF, format_headers(file), CRLF, CRLF, encode_base64(file.content), CRLF
    content = b"".join([*pieces, b"--", boundary, b"--", CRLF])
    relaxed = relax(content)
    return Tail(content, content if relaxed == content else relaxed)


def format_headers(file: AttachedFile) -> bytes:
    """Format the headers of a part (RFC 2183)."""
    return (
        b"Content-Type: "
        + file.content_type.encode("ascii")
        + b"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;"
        + format_name(file.name)
    )


def format_name(name: str) -> bytes:
    """Format the parameter `filename`, encoded if necessary, and in parts if it is long (RFC 2231)."""
    if PLAIN_NAME.fullmatch(name):
        return f'\r\n filename="{name}"'.encode("ascii")
    escaped = quote(name, safe="")
    if len(escaped) <= SEGMENT:
        return f"\r\n filename*=utf-8''{escaped}".encode("ascii")
    parts = [f"\r\n filename*{number}*={part}" for number, part in enumerate(SEGMENTS.findall(escaped))]
    return ";".join(parts).replace("*0*=", "*0*=utf-8''", 1).encode("ascii")


def encode_base64(content: bytes) -> bytes:
    """Encode `content` in lines, without a line ending after the last one."""
    view = memoryview(content)
    lines = (view[start : start + LINE_BYTES] for start in range(0, len(content), LINE_BYTES))
    return CRLF.join([b2a_base64(line, newline=False) for line in lines])
