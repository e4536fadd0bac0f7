"""Format headers and parts of a letter as bytes (RFC 5322, 2045, 2047), faster than `email.message`.

All output has short lines that end with CRLF. Line endings and control characters in values are never copied.
"""

import functools
import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from operator import itemgetter

from skymailing.delivery.rendering.liquid_tags import N_, TemplateError

CRLF = b"\r\n"
LINE = 76  # characters of a base64 line, RFC 2045 section 6.8
BLOCK = 200 * LINE  # characters split at a time
WORD = 42  # bytes in an encoded word, so that one fits after "Subject: " in 78 columns
ASCII = bytes(range(128))
ASCII_RATIO = 6  # quoted-printable is shorter than base64 if at most one byte in six is not ASCII
LONG_LINE = re.compile(rb"[^\n]{900}")
FROM = re.compile(rb"^From |[\x00\x7f]", re.MULTILINE)  # programs may write > before "From "
PLAIN_LENGTH = 64  # characters of an unencoded value on one line

# ASCII that neither needs quoting in an unstructured header nor looks like an encoded word.
PLAIN_TEXT = re.compile(r"(?!.*=\?)[ -~]*")
ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=^_`{|}~-]+)*")
ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
INTERNATIONAL_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u00a1-\U0010ffff-]{1,64}")
URL = re.compile(r"[!-;=?-~]{1,900}")  # printable ASCII without angle brackets
LIST_ID = re.compile(r"[A-Za-z0-9._-]{1,255}")
SPACES = re.compile(rb"[ \t]+")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def clean_line(text: str) -> str:
    """Collapse white space and remove control characters, so that `text` is one line."""
    if not text.isprintable():
        # Control characters separate words only if they include white space, such as a line ending.
        text = CONTROLS.sub(lambda match: " " if set(match.group()) & set("\t\n\r\v\f\x85") else "", text)
    return " ".join(text.split())


def encode_words(text: str) -> bytes:
    """Encode `text` as folded encoded words, each containing only whole characters (RFC 2047)."""
    words: list[bytes] = []
    data = text.encode("utf-8", "replace")
    start = 0
    while start < len(data):
        end = min(start + WORD, len(data))
        if end < len(data) and (space := data.rfind(b" ", start + 1, end)) > 0:
            end = space + 1  # some mail programs show a gap between two encoded words
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?b?" + b2a_base64(data[start:end], newline=False) + b"?=")
        start = end
    return b"\r\n ".join(words)


def encode_text(text: str) -> bytes:
    """Encode a one-line string as the value of an unstructured header such as Subject."""
    if PLAIN_TEXT.fullmatch(text):
        if len(text) <= PLAIN_LENGTH:
            return text.encode("ascii")
        if folded := fold(text):
            return folded
    return encode_words(text)


def fold(text: str) -> bytes:
    """Fold a one-line ASCII string at its spaces; return b"" if a word is too long for a line."""
    lines: list[str] = []
    rest = text
    while len(rest) > PLAIN_LENGTH:
        space = rest.rfind(" ", 1, PLAIN_LENGTH + 1)
        if space < 0:
            return b""
        lines.append(rest[:space])
        rest = rest[space + 1 :]
    return "\r\n ".join([*lines, rest]).encode("ascii")


def encode_phrase(name: str) -> bytes:
    """Encode a one-line string as a display name."""
    if len(name) <= PLAIN_LENGTH and name.isascii():
        if ATOMS.fullmatch(name) and "=?" not in name:
            return name.encode("ascii")
        if PLAIN_TEXT.fullmatch(name):
            return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
    return encode_words(name)


def check_address(address: str) -> str:
    """Return `address` if it is safe in a header; raises TemplateError."""
    if ADDRESS.fullmatch(address) is None:
        raise TemplateError(N_("%(address)s is not a valid address"), address=repr(address))
    return address


def encode_recipient(address: str) -> bytes:
    """Encode an address, whose local part may be UTF-8 (RFC 6532); raises TemplateError."""
    if address.isascii():
        return check_address(address).encode("ascii")
    local, at, domain = address.rpartition("@")
    if not local.isprintable() or INTERNATIONAL_LOCAL_PART.fullmatch(local) is None:
        raise TemplateError(N_("%(address)s is not a valid address"), address=repr(address))
    return local.encode("utf-8") + check_address(f"x{at}{domain}").encode("ascii")[1:]


def encode_mailbox(name: str, address: str) -> bytes:
    """Encode "name <address>", or only the address if there is no name."""
    mailbox = encode_recipient(address)
    name = clean_line(name)
    if not name:
        return mailbox
    phrase = encode_phrase(name)
    last = len(phrase) - phrase.rfind(b"\n")
    return phrase + (b" <" if last + len(mailbox) < LINE - 4 else b"\r\n <") + mailbox + b">"


def encode_body(body: bytes, *, is_last: bool = False) -> tuple[bytes, bytes]:
    """Encode `body`, which has CRLF line endings; return the name of its transfer encoding with the result.

    ASCII is not encoded, and mostly ASCII text is quoted-printable: some filters distrust ASCII in base64.
    A body that `is_last` in its letter is followed by a line ending that is not part of it.
    """
    if body.isascii():
        is_readable = LONG_LINE.search(body) is None and FROM.search(body) is None
        if is_readable and not is_last:
            return b"7bit", body
        if is_readable and body.endswith(CRLF):
            return b"7bit", body[:-2]
    elif len(body.translate(None, ASCII)) * ASCII_RATIO > len(body):
        return b"base64", split_lines(b2a_base64(body, newline=False))
    # The soft line break at the end keeps the line ending that follows out of the body.
    quoted = b2a_qp(body).replace(CRLF, b"\n").replace(b"\n", CRLF)
    return b"quoted-printable", quoted + b"=" if is_last else quoted


def split_lines(data: bytes) -> bytes:
    """Return base64 in lines that end with CRLF, except the last one."""
    blocks = [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)]
    return CRLF.join([_split_block(block) for block in blocks])


def _split_block(block: bytes) -> bytes:
    count = -(-len(block) // LINE)
    return block if count < 2 else CRLF.join(_get_slicer(count)(block))


@functools.lru_cache(maxsize=BLOCK // LINE)
def _get_slicer(count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Return a function that slices the lines of a block; slicing them one by one takes twice the time."""
    return itemgetter(*[slice(start, start + LINE) for start in range(0, count * LINE, LINE)])


def encode_part(body: bytes, *, is_last: bool) -> tuple[bytes, bytes, bytes]:
    """Return the rest of a part's headers, and its encoded body."""
    name, encoded = encode_body(body, is_last=is_last)
    return name, b"\r\n\r\n", encoded


_dates: dict[int, bytes] = {}


def encode_date(at: datetime) -> bytes:
    """Encode a time for the Date header; caches the last second."""
    second = int(at.timestamp())
    found = _dates.get(second)
    if found is None:
        _dates.clear()
        found = _dates[second] = format_datetime(at).encode("ascii")
    return found


def format_part_headers(subtype: str) -> bytes:
    """Format the headers of a UTF-8 text part, up to the name of its transfer encoding."""
    return f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: '.encode("ascii")


def check_url(url: str) -> str:
    """Return `url` if it is safe between angle brackets in a header; raises TemplateError."""
    if URL.fullmatch(url) is None:
        raise TemplateError(N_("%(address)s is not a valid address"), address=repr(url))
    return url


def check_list_id(name: str) -> str:
    """Return `name` if it is a dotted ASCII name (RFC 2919); raises TemplateError."""
    if LIST_ID.fullmatch(name) is None:
        raise TemplateError(N_("%(address)s is not a valid address"), address=repr(name))
    return name


def format_complaint_address(from_address: str, mailbox: str) -> str:
    """Return the header CFBL-Address (RFC 9477); empty if the domain of From does not allow it."""
    from_domain, mailbox_domain = (address.rpartition("@")[2] for address in (from_address, mailbox))
    if not mailbox_domain or not f".{from_domain}".endswith(f".{mailbox_domain}"):
        return ""
    return f"\r\nCFBL-Address: {check_address(mailbox)}; report=arf"


def relax(body: bytes) -> bytes:
    """Return a part of a signed body with single spaces, none at the end of its lines (RFC 6376, 3.4.4)."""
    if b"  " in body or b"\t" in body or b" \r\n" in body:
        return SPACES.sub(b" ", body).replace(b" \r\n", b"\r\n")
    return body
