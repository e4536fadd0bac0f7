"""Decide what a report means for the client, from the status codes and the text of the mail server's reply.

The diagnostic overrides the status: Exim writes 5.0.0 for everything, and many servers 5.5.0 or none.
A refusal because of the letter, the sender or the server (policy) is never counted against the client.
"""

import re
from enum import StrEnum

from skymailing.delivery.smtp.phrases import FULL_MAILBOX, POLICY_REFUSAL, RATE_LIMITED, UNKNOWN_USER
from skymailing.returns.reports import Kind, Report


class Verdict(StrEnum):
    # The address does not exist, or no longer accepts letters.
    HARD = "hard"
    # A temporary failure, such as a full mailbox or a server that is down.
    SOFT = "soft"
    # A rejection because of the letter, its sender or our server.
    POLICY = "policy"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    # Nothing to do: a warning, an automatic reply.
    IGNORED = "ignored"
    UNCLEAR = "unclear"


BY_KIND = {
    Kind.COMPLAINT: Verdict.COMPLAINT,
    Kind.UNSUBSCRIBE: Verdict.UNSUBSCRIBE,
    Kind.AUTO_REPLY: Verdict.IGNORED,
    Kind.DELAYED: Verdict.IGNORED,
    Kind.NOTICE: Verdict.IGNORED,
    Kind.PROBE: Verdict.IGNORED,
    Kind.UNCLEAR: Verdict.UNCLEAR,
}
# RFC 3463 and 7505, without the class: bad address or domain, mailbox disabled, no host; 1.351 is Microsoft's
# status for an unknown recipient on another server.
HARD_STATUSES = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "1.351", "2.1", "4.4"})
# Statuses about the sender's address or the letter's size. Subjects 5 (protocol), 6 (content) and 7 (policy)
# also indicate a policy rejection.
POLICY_STATUSES = frozenset({"1.7", "1.8", "2.3", "3.4"})
POLICY_SUBJECTS = frozenset({"6", "7"})
UNHELPFUL_STATUSES = frozenset({"0.0", "1.0", "2.0", "3.0", "5.0"})

# After the reply's code, or as qmail writes it: `550 5.1.1`, `550-5.1.1`, `(#5.1.1)`; not part of an address.
ENHANCED = re.compile(r"(?:(?<![\d.])[45]\d\d[ -]+[\[(#]{0,2}|#|^\W{0,3})([45])\.(\d{1,3}\.\d{1,3})(?![\d.])")
PLAIN_CODE = re.compile(r"(?<![\d.])([45])\d\d(?![\d.])")
# Addresses and URLs can contain any words, so they are removed.
ADDRESSES_AND_URLS = re.compile(r"https?://\S{1,500}|[^\s<>@]{0,64}@[^\s<>@]{1,255}", re.IGNORECASE)


def judge(report: Report) -> Verdict:
    """Return the verdict on a report."""
    if report.kind is not Kind.BOUNCE:
        return BY_KIND[report.kind]
    text = ADDRESSES_AND_URLS.sub(" ", report.diagnostic).lower()
    severity, status = find_status(report)
    if status in POLICY_STATUSES or status.partition(".")[0] in POLICY_SUBJECTS:
        return Verdict.POLICY
    is_unknown = UNKNOWN_USER.search(text) is not None
    is_policy = POLICY_REFUSAL.search(text) is not None
    if severity == "4" or FULL_MAILBOX.search(text) or RATE_LIMITED.search(text):
        return Verdict.POLICY if is_policy else Verdict.SOFT
    if status in HARD_STATUSES:
        return Verdict.HARD if is_unknown or not is_policy else Verdict.POLICY
    if is_policy:
        return Verdict.POLICY
    # A status with another meaning, such as a full mailbox, overrides a phrase.
    if is_unknown and (not status or status in UNHELPFUL_STATUSES or status.startswith("5.")):
        return Verdict.HARD
    return Verdict.POLICY if status.startswith("5.") and status not in UNHELPFUL_STATUSES else Verdict.SOFT


def find_status(report: Report) -> tuple[str, str]:
    """Return the class of the failure (4 or 5) and its subject and detail, such as 1.1; empty if unknown."""
    found = ENHANCED.search(report.diagnostic)
    if found and found[2] not in UNHELPFUL_STATUSES:
        return found[1], found[2]
    severity, _, status = report.status.partition(".")
    if status and status not in UNHELPFUL_STATUSES:
        return severity, status
    code = found or PLAIN_CODE.search(report.diagnostic)
    return (code[1] if code else severity), status
