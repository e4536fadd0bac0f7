"""Split a letter into its parts, in time proportional to its size.

The standard library's parser looks at each line once per level of nesting, and recurses: a hostile 1 MB
letter keeps it busy for minutes. For returned letters, the headers of the outer levels are enough.
"""

import base64
import binascii
import quopri
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_DEPTH = 4
MAX_PARTS = 50
MAX_HEADERS = 64 * 1024

BOUNDARY = re.compile(r'\bboundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
CHARSET = re.compile(r'\bcharset\s*=\s*"?([\w.-]{1,40})', re.IGNORECASE)
# Other encodings, such as punycode, take quadratic time; unknown ones are read as UTF-8.
KNOWN_CHARSET = re.compile(
    r"us-ascii|iso-8859-\d+|windows-125\d|cp\d+|koi8-[ru]|gb2312|gbk|gb18030|big5|euc-\w+|shift_jis|"
    r"iso-2022-\w+",
    re.IGNORECASE,
)

# The values of each header by its lowercase name, in their order in the letter.
Headers = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that contains no other parts: its lowercase type, its headers and its decoded body."""

    type: str
    headers: Headers
    body: bytes

    def read_text(self) -> str:
        """Decode the body; characters that cannot be decoded are replaced."""
        found = CHARSET.search(get_header(self.headers, "content-type"))
        charset = found[1] if found and KNOWN_CHARSET.fullmatch(found[1]) else "utf-8"
        try:
            text = self.body.decode(charset, "replace")
        except LookupError:
            text = self.body.decode("utf-8", "replace")
        return text.replace("\x00", "")


def get_header(headers: Headers, name: str) -> str:
    """Return the first value of a header, or an empty string."""
    values = headers.get(name)
    return values[0] if values else ""


def split_letter(raw: bytes) -> tuple[Headers, list[Part]]:
    """Return the headers of a letter and its parts, at most MAX_PARTS; attached letters are not split."""
    data = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if data.startswith(b"From "):  # mail servers add this line to a letter that they pipe into a command
        data = data.partition(b"\n")[2]
    headers, body = split_headers(data)
    parts: list[Part] = []
    for part in _walk(headers, body, MAX_DEPTH):
        parts.append(part)
        if len(parts) == MAX_PARTS:
            break
    return headers, parts


def split_headers(data: bytes) -> tuple[Headers, bytes]:
    """Split at the first empty line; return the unfolded headers and the rest."""
    if data.startswith(b"\n"):
        return {}, data[1:]
    block, _, body = data.partition(b"\n\n")
    return read_headers(block[:MAX_HEADERS].decode("utf-8", "replace")), body


def read_headers(text: str) -> Headers:
    """Return the unfolded values of a block of headers; lines without a colon are skipped."""
    lines: list[tuple[str, list[str]]] = []
    for line in text.replace("\x00", "").split("\n"):  # PostgreSQL cannot store NUL characters
        if line[:1] in (" ", "\t"):
            if lines:
                lines[-1][1].append(line.strip())
            continue
        name, colon, value = line.partition(":")
        if colon:
            lines.append((name.strip().lower(), [value.strip()]))
    headers: dict[str, list[str]] = defaultdict(list)
    for name, pieces in lines:
        headers[name].append(" ".join(pieces))
    return headers


def _walk(headers: Headers, body: bytes, depth: int) -> Iterator[Part]:
    described = get_header(headers, "content-type")
    # Some servers forget the semicolon.
    type = re.split(r"[\s;]", described.strip(), maxsplit=1)[0].lower() or "text/plain"
    found = BOUNDARY.search(described) if type.startswith("multipart/") else None
    if found is None or not depth:
        # Parts that cannot be split are read as text.
        is_text = found is None and type.startswith("multipart/")
        yield Part("text/plain" if is_text else type, headers, _decode(headers, body))
        return
    mark = b"\n--" + (found[1] or found[2]).encode()
    # The preamble comes before the first mark; a mark with two more hyphens ends the last part.
    for piece in (b"\n" + body).split(mark, MAX_PARTS + 1)[1:]:
        if piece.startswith(b"--"):
            return
        yield from _walk(*split_headers(piece.partition(b"\n")[2]), depth - 1)


def _decode(headers: Headers, body: bytes) -> bytes:
    encoding = get_header(headers, "content-transfer-encoding").lower()
    try:
        if encoding == "base64":
            return base64.b64decode(body)
        if encoding == "quoted-printable":
            return quopri.decodestring(body)
    except (binascii.Error, ValueError):
        return body
    return body
