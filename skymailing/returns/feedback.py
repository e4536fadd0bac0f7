"""Read complaints that providers forward in the abuse reporting format (RFC 5965)."""

from skymailing.returns.letter import OpenedLetter
from skymailing.returns.parts import get_header, read_headers
from skymailing.returns.prose import is_address
from skymailing.returns.reports import Kind, Report

# The client marked the letter as spam; other types are about authentication or viruses.
COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list", "miscategorized", "complaint"})
NOTICES = frozenset({"not-spam", "auth-failure", "dmarc", "dkim"})
MAX_RECIPIENTS = 50


def read_complaint(letter: OpenedLetter) -> list[Report]:
    """Return the complaint, once per recipient; most providers remove the address (RFC 6590)."""
    part = letter.find_part("message/feedback-report")
    if part is None:
        return []
    fields = read_headers(part.body[:65536].decode("utf-8", "replace"))
    type = get_header(fields, "feedback-type").strip().lower()
    kind = Kind.COMPLAINT if type in COMPLAINTS else Kind.NOTICE if type in NOTICES else Kind.UNCLEAR
    recipients = (
        value.partition(";")[2] or value for value in fields.get("original-rcpt-to", [])[:MAX_RECIPIENTS]
    )
    addresses = [address for value in recipients if is_address(address := value.strip().strip("<>"))]
    return [Report(kind, address, action=type[:16], quoted=letter.quoted) for address in addresses or [""]]
