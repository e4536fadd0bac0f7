"""Read reports in prose: Exim's header, and the formats that flufl.bounce knows."""

import logging
import re
from email import message_from_bytes

from skymailing.returns.letter import OpenedLetter, read_subject
from skymailing.returns.reports import ADDRESS_LENGTH, DIAGNOSTIC_LENGTH, Kind, Report

logger = logging.getLogger(__name__)
# The library logs each error that it raises.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)

ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]@]{1,64}@[^\s<>,;:\"()\[\]@]{1,255}")
MAX_RECIPIENTS = 100
MAX_TO = 8000  # characters
# The detectors of flufl.bounce look at each line, and the standard library's parser recurses.
MAX_DETECTED = 64 * 1024
MAX_NESTED = 20
NESTING = re.compile(rb"boundary\s*=|content-type:\s*message/", re.IGNORECASE)
MAX_MARKS = 200
EXCERPT_LINES = 12
LINES = re.IGNORECASE | re.MULTILINE
LEADING_ADDRESS = re.compile(rf"[^\w\n]{{0,20}}({ADDRESS.pattern})")
# A line that separates the report from the letter that it quotes.
QUOTE_MARK = re.compile(
    r"[-=*|]{3}|(the )?(original|returned|unsent) message|below (is|this)|message (headers )?follow",
    re.IGNORECASE,
)


def is_address(text: str) -> bool:
    """Return whether the text resembles an address; this is enough for comparisons."""
    return len(text) <= ADDRESS_LENGTH and ADDRESS.fullmatch(text) is not None


def read_failed_recipients(letter: OpenedLetter) -> list[Report]:
    """Read Exim's report without a standard part, which names the addresses in a header."""
    if "x-failed-recipients" not in letter.headers:
        return []
    value = ",".join(letter.headers["x-failed-recipients"])[: MAX_RECIPIENTS * ADDRESS_LENGTH]
    addresses = [name.strip().strip("<>") for name in value.split(",")][:MAX_RECIPIENTS]
    return [_report(letter, Kind.BOUNCE, address) for address in addresses if is_address(address)]


def read_prose(letter: OpenedLetter) -> list[Report]:
    """Read the formats of older servers."""
    if is_from_client(letter):
        return []
    failed, delayed = _detect(letter)
    return [_report(letter, Kind.BOUNCE, address) for address in failed] + [
        _report(letter, Kind.DELAYED, address) for address in delayed
    ]


def find_addresses(letter: OpenedLetter) -> list[str]:
    """Return the failed addresses, from the header or the prose of a report."""
    named = [report.recipient for report in read_failed_recipients(letter)]
    return named or [address for found in _detect(letter) for address in found]


def find_excerpt(letter: OpenedLetter, address: str) -> str:
    """Return the text about the address: the paragraph after it, or the text before it.

    If the text does not name the address, return the subject, which may describe the failure.
    """
    if not address:
        return ""
    text, named = letter.sentences, re.escape(address)
    found = re.search(rf"^[^\w\n]{{0,20}}{named}", text, LINES) or re.search(named, text, LINES)
    if found is None:
        return read_subject(letter.headers, DIAGNOSTIC_LENGTH)
    after = _read_paragraph(text[found.end() :][: 2 * DIAGNOSTIC_LENGTH], address).lstrip(">:), \t")
    if after:
        return after[:DIAGNOSTIC_LENGTH]
    return " ".join(text[max(0, found.start() - DIAGNOSTIC_LENGTH // 2) : found.start()].split()).rstrip("< ")


def _read_paragraph(text: str, address: str) -> str:
    """Return the first paragraph, and the next one after a colon; stop at another address."""
    lines: list[str] = []
    for number, line in enumerate(text.split("\n")[:EXCERPT_LINES]):
        other = LEADING_ADDRESS.match(line)
        if (number and other and other[1].lower() != address.lower()) or QUOTE_MARK.match(line.strip()):
            break
        # An empty line can follow the address itself, or words such as "because:".
        if not line.strip() and number > 1 and lines and not lines[-1].endswith(":"):
            break
        lines += [line.strip()] if line.strip() else []
    return " ".join(lines)


def _report(letter: OpenedLetter, kind: Kind, address: str) -> Report:
    return Report(kind, address, diagnostic=find_excerpt(letter, address), quoted=letter.quoted)


def _detect(letter: OpenedLetter) -> tuple[list[str], list[str]]:
    """Return the failed addresses, and the delayed ones."""
    raw = letter.raw[:MAX_DETECTED]
    if len(NESTING.findall(raw)) > MAX_NESTED or raw.count(b"\n--") > MAX_MARKS:
        return [], []
    from flufl.bounce import all_failures  # slow to import

    try:
        temporary, permanent = all_failures(message_from_bytes(raw))
    except Exception:  # flufl.bounce raises various errors for letters that only resemble a known format
        logger.info("a returned letter confused flufl.bounce", exc_info=True)
        return [], []
    return _clean(letter, permanent), _clean(letter, temporary - permanent)


def _clean(letter: OpenedLetter, found: frozenset[bytes] | set[bytes]) -> list[str]:
    # PostgreSQL cannot store NUL characters.
    decoded = (address.decode("utf-8", "replace").replace("\0", "") for address in found)
    texts = sorted(text.strip().strip("<>") for text in decoded)
    addresses = [text for text in texts if is_address(text)][:MAX_RECIPIENTS]
    # Some detectors also find our own address and our Message-ID in the quoted letter.
    own_texts = ",".join([*letter.headers.get("to", []), letter.quoted.message_id]).lower()
    return [address for address in addresses if address.lower() not in own_texts] or addresses


def find_quoted_recipients(letter: OpenedLetter) -> list[str]:
    """Return the addresses to which the quoted letter was sent, in lowercase."""
    values = [value[:MAX_TO] for name in ("to", "cc") for value in letter.quoted_headers.get(name, [])]
    return [address.lower() for value in values for address in ADDRESS.findall(value)][:MAX_RECIPIENTS]


def is_from_client(letter: OpenedLetter) -> bool:
    """Return whether the letter is a reply from the client to whom we wrote, not from a server."""
    senders = {
        address.lower() for value in letter.headers.get("from", []) for address in ADDRESS.findall(value)
    }
    return not senders.isdisjoint(find_quoted_recipients(letter))
