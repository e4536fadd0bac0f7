"""Read mail servers' reports in the standard format (RFC 3464; RFC 6533 for international addresses)."""

import re

from skymailing.returns.letter import OpenedLetter
from skymailing.returns.parts import Headers, get_header, read_headers
from skymailing.returns.prose import find_addresses, find_excerpt, is_address
from skymailing.returns.reports import (
    ADDRESS_LENGTH,
    DIAGNOSTIC_LENGTH,
    HOST_LENGTH,
    STATUS_LENGTH,
    Kind,
    Report,
)

STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
MAX_RECIPIENTS = 100  # each of our letters has one
MAX_STATUS_TEXT = 512 * 1024
KINDS = {
    "failed": Kind.BOUNCE,
    "delayed": Kind.DELAYED,
    "delivered": Kind.NOTICE,
    "relayed": Kind.NOTICE,
    "expanded": Kind.NOTICE,
}
# The kind of a report without an action, by the class of its status (RFC 3463).
KINDS_BY_CLASS = {"5": Kind.BOUNCE, "4": Kind.DELAYED, "2": Kind.NOTICE}
STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
BLANK_LINES = re.compile(r"\n[ \t]*\n")
ESCAPED = re.compile(r"\\x\{([0-9A-F]{2,6})\}", re.IGNORECASE)


def read_status(letter: OpenedLetter) -> list[Report]:
    """Return one report per recipient of a delivery status notification."""
    part = letter.find_part(*STATUS_TYPES)
    if part is None:
        return []
    text = part.body[:MAX_STATUS_TEXT].decode("utf-8", "replace")
    blocks = [read_headers(block) for block in BLANK_LINES.split(text, MAX_RECIPIENTS)[:MAX_RECIPIENTS]]
    reports = [
        _read_recipient(letter, block)
        for block in blocks
        if "final-recipient" in block or "original-recipient" in block or "action" in block
    ]
    if len(reports) == 1 and not reports[0].recipient:
        # Some servers write the address only in the human-readable text.
        return [_read_recipient(letter, blocks[-1], address) for address in find_addresses(letter)] or reports
    return reports


def _read_recipient(letter: OpenedLetter, block: Headers, address: str = "") -> Report:
    recipient = (
        address
        # Use the address that we wrote to; the final one may be where the client forwards mail.
        or _read_address(get_header(block, "original-recipient"))
        or _read_address(get_header(block, "final-recipient"))
    )
    found = STATUS.search(get_header(block, "status")[:100])
    status = found[0] if found else ""
    action = get_header(block, "action").partition(" ")[0].lower()[:STATUS_LENGTH]
    diagnostic = get_header(block, "diagnostic-code").partition(";")[2].strip() or find_excerpt(
        letter, recipient
    )
    return Report(
        KINDS.get(action) or KINDS_BY_CLASS.get(status[:1], Kind.UNCLEAR),
        recipient,
        action,
        status[:STATUS_LENGTH],
        diagnostic[:DIAGNOSTIC_LENGTH],
        get_header(block, "remote-mta").rpartition(";")[2].strip()[:HOST_LENGTH],
        letter.quoted,
    )


def _read_address(value: str) -> str:
    """Return the address of `rfc822; ann@example.com`; empty if it is not an address or has been removed."""
    type, semicolon, address = value[: 4 * ADDRESS_LENGTH].partition(";")
    if type.strip().lower() == "utf-8":
        address = ESCAPED.sub(_unescape, address)
    address = (address if semicolon else type).strip().strip("<>").strip()
    return address if is_address(address) else ""


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    # Controls, surrogates and numbers beyond Unicode cannot be part of an address.
    return chr(code) if 0x20 < code < 0xD800 or 0xDFFF < code < 0x110000 else "�"
