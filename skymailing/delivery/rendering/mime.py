"""Format headers and parts of a letter as bytes (RFC 5322, 2045, 2047), faster than `email.message`.

All output has short lines that end with CRLF. Line endings and control characters in values are never copied.
"""

import re
from binascii import b2a_base64
from datetime import datetime
from email.utils import format_datetime

from skymailing.delivery.rendering.liquid_tags import N_, TemplateError

CRLF = b"\r\n"
LINE = 76  # characters of a base64 line, RFC 2045 section 6.8
WORD = 42  # bytes in an encoded word, so that one fits after "Subject: " in 78 columns
PLAIN_LENGTH = 64  # characters up to which a value is written unencoded

# ASCII that neither needs quoting in an unstructured header nor looks like an encoded word.
PLAIN = re.compile(r"(?!.*=\?)[ -~]*")
ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=^_`{|}~-]+)*")
ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
URL = re.compile(r"[!-;=?-~]{1,900}")  # printable ASCII without angle brackets
LIST_ID = re.compile(r"[A-Za-z0-9._-]{1,255}")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def clean_line(text: str) -> str:
    """Collapse white space and remove control characters, so that `text` is one line."""
    if not text.isprintable():
        # Control characters that include white space separate words, like a line ending.
        text = CONTROLS.sub(lambda match: " " if set(match.group()) & set("\t\n\r\v\f\x85") else "", text)
    return " ".join(text.split())


def encode_words(text: str) -> bytes:
    """Encode `text` as folded encoded words, each containing only whole characters (RFC 2047)."""
    words: list[bytes] = []
    data = text.encode("utf-8", "replace")
    start = 0
    while start < len(data):
        end = min(start + WORD, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?b?" + b2a_base64(data[start:end], newline=False) + b"?=")
        start = end
    return b"\r\n ".join(words)


def encode_text(text: str) -> bytes:
    """Encode a one-line text as the value of an unstructured header such as Subject."""
    if len(text) <= PLAIN_LENGTH and PLAIN.fullmatch(text):
        return text.encode("ascii")
    return encode_words(text)


def encode_phrase(name: str) -> bytes:
    """Encode a one-line text as a display name."""
    if len(name) <= PLAIN_LENGTH and name.isascii():
        if ATOMS.fullmatch(name) and "=?" not in name:
            return name.encode("ascii")
        if PLAIN.fullmatch(name):
            return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
    return encode_words(name)


def check_address(address: str) -> str:
    """Return `address` if it is safe in a header; raises TemplateError."""
    if ADDRESS.fullmatch(address) is None:
        raise TemplateError(N_("%(address)s is not a valid address"), address=repr(address))
    return address


def encode_mailbox(name: str, address: str) -> bytes:
    """Encode "name <address>", or only the address if there is no name."""
    mailbox = check_address(address).encode("ascii")
    name = clean_line(name)
    if not name:
        return mailbox
    phrase = encode_phrase(name)
    last = len(phrase) - phrase.rfind(b"\n")
    return phrase + (b" <" if last + len(mailbox) < LINE - 4 else b"\r\n <") + mailbox + b">"


def encode_body(body: bytes) -> bytes:
    """Encode `body` as lines of base64."""
    data = b2a_base64(body, newline=False)
    return CRLF.join([data[start : start + LINE] for start in range(0, len(data), LINE)])


_dates: dict[int, bytes] = {}


def encode_date(moment: datetime) -> bytes:
    """Encode a time for the Date header; caches the last second."""
    second = int(moment.timestamp())
    found = _dates.get(second)
    if found is None:
        _dates.clear()
        found = _dates[second] = format_datetime(moment).encode("ascii")
    return found


def format_part_headers(subtype: str) -> bytes:
    """Format the headers of a UTF-8 text part."""
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    ).encode("ascii")


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
