"""Sort servers' refusals of letters into a few reasons, which pages show in words.

The reasons are only shown: `verdicts` and `returns.verdicts` decide what a reply means for a letter or its
client.
"""

import functools
import re
from enum import StrEnum

from skymailing.delivery.smtp.phrases import FULL_MAILBOX, POLICY_REFUSAL, RATE_LIMITED, UNKNOWN_USER

# A status (RFC 3463), before the text or after the reply's code.
STATUS = re.compile(r"\W{0,3}(?:[45]\d\d[ -]{1,2})?([45])\.(\d{1,3}\.\d{1,3})\b")
ADDRESSES = re.compile(r"https?://\S{1,500}|[^\s<>@]{0,64}@[^\s<>@]{1,255}", re.IGNORECASE)
SEARCHED_LENGTH = 600  # characters

GREYLISTED = re.compile(r"gr[ae]y-?list")
TOO_LARGE = re.compile(
    r"too (large|big)|size limit|exceeds? (the )?(maximum )?(message |fixed )?size|message size"
)
SPAM = re.compile(
    r"spam|junk|unsolicited|bulk mail|phishing|virus|malware|malicious|(black|block|deny) ?list|\brbl\b|dnsbl"
    r"|barracuda|proofpoint|cloudmark|reputation|\bblocked\b|\bbanned\b|unwanted|content (rejected|refused)"
    r"|спам|заблокирован|ч[её]рн(ом|ый) спис"
)
UNKNOWN_DOMAIN = re.compile(
    r"(domain|host)( name)?[^.;]{0,40} (not found|not known|unknown|(does not|doesn't) exist)"
    r"|(unknown|no such|invalid|nonexistent) (domain|host)|name or service not known|name service error"
    r"|nxdomain|null mx|does not accept mail"
)
UNAVAILABLE = re.compile(
    r"timed? ?out|time-out|no (answer|response|route)|did not (answer|respond)|unreachable|unavailable"
    r"|connection (refused|lost|closed|reset)|lost connection|try (it )?(again|later)|retry|temporar"
    r"|local error|system (error|not|full|resources)|не отвечает|позже"
)


class RefusalReason(StrEnum):
    """The reason why a server refused a letter; shown only, never stored."""

    NO_ADDRESS = "no-address"
    NO_DOMAIN = "no-domain"
    FULL_MAILBOX = "full-mailbox"
    SPAM = "spam"
    SENDER = "sender"  # the sender's address, domain or signature, or our server
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"  # letters in a short time
    UNAVAILABLE = "unavailable"
    OTHER = "other"


# The reasons by status without its class (RFC 3463, 7372 and 7505; Microsoft's 7.509 and 7.515). For other
# security statuses, the text decides.
BY_STATUS = {
    **dict.fromkeys(("1.1", "1.3", "1.6", "1.351", "2.1"), RefusalReason.NO_ADDRESS),
    **dict.fromkeys(("1.2", "1.10", "4.4"), RefusalReason.NO_DOMAIN),
    "2.2": RefusalReason.FULL_MAILBOX,
    **dict.fromkeys(("2.3", "3.4"), RefusalReason.TOO_LARGE),
    **dict.fromkeys(("1.7", "1.8"), RefusalReason.SENDER),
    # DKIM, SPF, the name of our server, DMARC, and a sender that accepts no mail.
    **dict.fromkeys((f"7.{number}" for number in (*range(20, 28), 509, 515)), RefusalReason.SENDER),
    **dict.fromkeys(("3.1", "3.2", "4.2", "4.3", "4.5", "4.6", "4.7"), RefusalReason.UNAVAILABLE),
}
SECURITY = "7."


@functools.lru_cache(maxsize=4096)
def find_reason(text: str) -> RefusalReason:
    """Return the reason for a reply; it starts with its status, such as 5.1.1, if it has one."""
    text = ADDRESSES.sub(" ", text[:SEARCHED_LENGTH]).lower()
    found = STATUS.match(text)
    severity, status = (found[1], found[2]) if found else ("", "")
    if FULL_MAILBOX.search(text) and not SPAM.search(text):
        return RefusalReason.FULL_MAILBOX
    if RATE_LIMITED.search(text):
        return RefusalReason.TOO_MANY
    if status == "4.1":  # Microsoft uses 5.4.1 for recipients that it does not know
        return RefusalReason.NO_ADDRESS if severity == "5" else RefusalReason.UNAVAILABLE
    return BY_STATUS.get(status) or _find_in_text(text, status)


def _find_in_text(text: str, status: str) -> RefusalReason:
    if GREYLISTED.search(text):
        return RefusalReason.UNAVAILABLE
    if TOO_LARGE.search(text):
        return RefusalReason.TOO_LARGE
    if SPAM.search(text):
        return RefusalReason.SPAM
    if status.startswith(SECURITY) or POLICY_REFUSAL.search(text):
        return RefusalReason.SENDER
    if UNKNOWN_DOMAIN.search(text):
        return RefusalReason.NO_DOMAIN
    if UNKNOWN_USER.search(text):
        return RefusalReason.NO_ADDRESS
    return RefusalReason.UNAVAILABLE if UNAVAILABLE.search(text) else RefusalReason.OTHER
