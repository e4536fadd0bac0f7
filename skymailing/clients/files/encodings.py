"""Detect the encoding of a text file."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from skymailing.clients.files.plausibility import rate

CHUNK_SIZE = 64 * 1024
REPLACEMENT = "\ufffd"
# The encodings that are tried or can be chosen: Python's name and the common name.
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "cp1251": "Windows-1251",
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "koi8-r": "KOI8-R",
    "cp866": "DOS 866",
    "mac-cyrillic": "Mac Cyrillic",
    "mac-roman": "Mac Roman",
}
# Encodings with one byte per character; nearly every text is valid in all of them.
CANDIDATES = ("cp1251", "cp1252", "cp1250", "koi8-r", "cp866", "mac-cyrillic", "mac-roman")
SAMPLE_SIZE = 8 * 1024  # bytes of lines with non-ASCII characters, which are rated in each encoding
CLOSE = 0.15  # if ratings differ by less, only a person can decide
LINE_END_OR_AT = re.compile(r"[\r\n@]")


@dataclass(frozen=True, slots=True)
class Guess:
    """The most plausible encoding of a file, and others that yield different, similarly plausible text."""

    encoding: str
    close: tuple[str, ...] = ()


def find_encoding(name: str) -> str | None:
    """Return our name for an encoding that a user typed, such as `Windows-1251`; None if unknown."""
    try:
        wanted = codecs.lookup(name.strip()).name
    except LookupError:
        wanted = next((key for key, label in ENCODINGS.items() if label.lower() == name.strip().lower()), "")
        wanted = wanted and codecs.lookup(wanted).name
    return next((key for key in ENCODINGS if codecs.lookup(key).name == wanted), None)


def detect_encoding(source: BinaryIO) -> Guess:
    """Return the encoding: by the byte order mark, otherwise UTF-8 if valid, otherwise by plausible words."""
    source.seek(0)
    start = source.read(4096)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Guess("utf-16")  # Excel: "Unicode text"
    if wide := detect_wide_characters(start):
        return Guess(wide)
    if start.startswith(codecs.BOM_UTF8) or is_utf8(source):
        return Guess("utf-8")
    return compare_encodings(b"\n".join(sample_lines(source)))


def detect_wide_characters(start: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: half the bytes of its ASCII characters are zero."""
    half = len(start) // 2
    even, odd = start[::2].count(0), start[1::2].count(0)
    for name, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        is_likely = zeros > 0.3 * half and others < 0.05 * half
        if is_likely and LINE_END_OR_AT.search(start.decode(name, errors="replace")):
            return name
    return None


def is_utf8(source: BinaryIO) -> bool:
    """Return whether a file is UTF-8, even with a few broken bytes: these must affect only their own rows."""
    source.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    broken = non_ascii = 0
    while chunk := source.read(CHUNK_SIZE):
        text = decoder.decode(chunk)
        if not text.isascii():
            broken += text.count(REPLACEMENT)
            non_ascii += len(text) - len(text.encode("ascii", errors="ignore"))
    return broken * 10 <= non_ascii - broken


def sample_lines(source: BinaryIO) -> Iterator[bytes]:
    """Yield lines with non-ASCII characters, SAMPLE_SIZE bytes in total, from the whole file."""
    source.seek(0)
    size = 0
    while size < SAMPLE_SIZE and (chunk := source.read(CHUNK_SIZE)):
        if chunk.isascii():
            continue
        for line in chunk.splitlines():
            if size < SAMPLE_SIZE and not line.isascii():
                size += min(len(line), SAMPLE_SIZE)
                yield line[:SAMPLE_SIZE]


def compare_encodings(sample: bytes) -> Guess:
    """Return the candidate in which the sample has the most plausible words."""
    texts = {name: sample.decode(name, errors="replace") for name in CANDIDATES}
    ratings = {name: rate(text) for name, text in texts.items()}
    best = max(CANDIDATES, key=lambda name: ratings[name])
    close = [
        name for name in CANDIDATES if ratings[name] > ratings[best] - CLOSE and texts[name] != texts[best]
    ]
    return Guess(best, tuple(close))
