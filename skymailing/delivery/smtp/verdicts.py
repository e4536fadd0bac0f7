"""Decide what a mail server's reply means for a letter (RFC 5321, section 4.2; RFC 3463)."""

import re
from enum import StrEnum

# Codes that refer to the session or the credentials, not to the letter.
ROUTE_FAULT_CODES = {421, 454, 530, 535}
# RFC 3463: the sender's address is at fault. Some servers report this only after RCPT.
SENDERS_ADDRESS = re.compile(r"5\.1\.[78]\b")

# RFC 6531: the server does not accept the parameter SMTPUTF8, or not for this letter.
INTERNATIONAL_CODES = {501, 504, 555}
INTERNATIONAL_STATUS = re.compile(r"5\.(?:6\.[79]|5\.4)\b")


class Verdict(StrEnum):
    """The outcome of one letter in one session."""

    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"
    # Not caused by the letter: it returns to pending, and no attempt is counted.
    RELEASED = "released"
    THROTTLED = "throttled"
    ROUTE_FAULT = "route-fault"
    SENDER_REFUSED = "sender-refused"


# After these, the session hands over no more letters.
ENDS_SESSION = {Verdict.ROUTE_FAULT, Verdict.SENDER_REFUSED}
# After these, no session starts another letter: the next one would have the same result.
ENDS_WINDOW = ENDS_SESSION | {Verdict.THROTTLED}


class Stage(StrEnum):
    """The command to which a reply belongs."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "after the dot"


def classify(stage: Stage, code: int, text: str = "", is_international: bool = False) -> Verdict:
    """Return the verdict for a reply to `stage`; do not call it for the 354 after DATA.

    `is_international` means that MAIL had the parameter SMTPUTF8.
    """
    if code in ROUTE_FAULT_CODES:
        return Verdict.ROUTE_FAULT
    if 400 <= code < 500:
        # MAIL is the same for every letter, so the server limits our rate or has an internal problem.
        return Verdict.THROTTLED if stage is Stage.MAIL else Verdict.DEFERRED
    if 500 <= code < 600:
        if is_international and stage is Stage.MAIL and refuses_international(code, text):
            return Verdict.FAILED
        is_about_sender = stage is Stage.MAIL or SENDERS_ADDRESS.match(text)
        return Verdict.SENDER_REFUSED if is_about_sender else Verdict.FAILED
    if 200 <= code < 300 and stage is Stage.DOT:
        return Verdict.SENT
    # An invalid code at this stage is not about the letter.
    return Verdict.UNKNOWN if stage is Stage.DOT else Verdict.DEFERRED


def refuses_international(code: int, text: str) -> bool:
    """Return whether a 5xx reply refuses the parameter SMTPUTF8, not the sender."""
    return code in INTERNATIONAL_CODES or INTERNATIONAL_STATUS.match(text) is not None
