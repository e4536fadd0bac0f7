"""Reports in sentences: Exim's header, and the formats that flufl.bounce knows."""

import logging
import re
from email import message_from_bytes

from skymailing.returns.letter import OpenedLetter
from skymailing.returns.reports import ADDRESS_LENGTH, DIAGNOSTIC_LENGTH, Kind, Report

logger = logging.getLogger(__name__)
# It logs each error that it raises.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)

ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]@]{1,64}@[^\s<>,;:\"()\[\]@]{1,255}")
MAX_RECIPIENTS = 100
# The detectors of flufl.bounce look at each line, and the standard library's parser recurses.
MAX_DETECTED = 64 * 1024
MAX_NESTED = 20
NESTING = re.compile(rb"boundary\s*=|content-type:\s*message/", re.IGNORECASE)
MAX_MARKS = 200
EXCERPT_LINES = 12
# A line that separates the report from the letter that it quotes.
QUOTE_MARK = re.compile(r"[-=*|]{3}")


def is_address(text: str) -> bool:
    """Whether the text looks like an address; its exact form does not matter, it is only compared."""
    return len(text) <= ADDRESS_LENGTH and ADDRESS.fullmatch(text) is not None


def read_failed_recipients(letter: OpenedLetter) -> list[Report]:
    """Read a report of Exim without a standard part: it names the addresses in a header."""
    if "x-failed-recipients" not in letter.headers:
        return []
    value = ",".join(letter.headers["x-failed-recipients"])[: MAX_RECIPIENTS * ADDRESS_LENGTH]
    addresses = [name.strip().strip("<>") for name in value.split(",")][:MAX_RECIPIENTS]
    return [_report(letter, Kind.BOUNCE, address) for address in addresses if is_address(address)]


def read_prose(letter: OpenedLetter) -> list[Report]:
    """Read the formats of older servers."""
    failed, delayed = _detect(letter)
    return [_report(letter, Kind.BOUNCE, address) for address in failed] + [
        _report(letter, Kind.DELAYED, address) for address in delayed
    ]


def find_addresses(letter: OpenedLetter) -> list[str]:
    """Return the addresses that failed, from the header or the sentences of a report."""
    named = [report.recipient for report in read_failed_recipients(letter)]
    return named or [address for found in _detect(letter) for address in found]


def find_excerpt(letter: OpenedLetter, address: str) -> str:
    """Return what the sentences say about the address: the lines from it on, or those before it."""
    start = letter.text.lower().find(address.lower()) if address else -1
    if start < 0:
        return ""
    lines = letter.text[start + len(address) :][: 2 * DIAGNOSTIC_LENGTH].split("\n")[:EXCERPT_LINES]
    # The paragraph of the address, even if an empty line follows the address itself.
    end = next((number for number, line in enumerate(lines) if number > 1 and not line.strip()), None)
    after = " ".join(filter(None, map(str.strip, lines[:end]))).lstrip(">:), \t")
    if after and not QUOTE_MARK.match(after):
        return after[:DIAGNOSTIC_LENGTH]
    return " ".join(letter.text[max(0, start - DIAGNOSTIC_LENGTH // 2) : start].split()).rstrip("< ")


def _report(letter: OpenedLetter, kind: Kind, address: str) -> Report:
    return Report(kind, address, diagnostic=find_excerpt(letter, address), quoted=letter.quoted)


def _detect(letter: OpenedLetter) -> tuple[list[str], list[str]]:
    """Return the addresses that failed, and those that are delayed."""
    raw = letter.raw[:MAX_DETECTED]
    if len(NESTING.findall(raw)) > MAX_NESTED or raw.count(b"\n--") > MAX_MARKS:
        return [], []
    from flufl.bounce import all_failures  # slow to import

    try:
        temporary, permanent = all_failures(message_from_bytes(raw))
    except Exception:  # raises various errors on letters that it almost knows
        logger.info("a returned letter confused flufl.bounce", exc_info=True)
        return [], []
    return _clean(permanent), _clean(temporary - permanent)


def _clean(found: frozenset[bytes] | set[bytes]) -> list[str]:
    # PostgreSQL stores no NUL characters.
    decoded = (address.decode("utf-8", "replace").replace("\0", "") for address in found)
    texts = sorted(text.strip().strip("<>") for text in decoded)
    return [text for text in texts if is_address(text)][:MAX_RECIPIENTS]
