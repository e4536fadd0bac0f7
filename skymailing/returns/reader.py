"""Read returned letters: bytes in, reports out. Needs no database, and never raises.

Each format is one function from an opened letter to its reports, in FORMATS; the first result is used.
"""

import logging
import re
from collections.abc import Callable

from skymailing.returns import delivery_status, failure_notices, feedback, opt_outs, probes, prose
from skymailing.returns.letter import UNKNOWN_ENVELOPE, Envelope, OpenedLetter, open_letter, read_subject
from skymailing.returns.parts import get_header
from skymailing.returns.reports import Kind, Report

logger = logging.getLogger(__name__)

# The quoted letter can be long, but the report comes before it.
MAX_READ = 1024 * 1024

MAILER = re.compile(r"mailer-daemon|postmaster|mail delivery|microsoftexchange", re.IGNORECASE)
AUTO_REPLY_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponder")
AUTO_REPLY_SUBJECT = re.compile(
    r"\s*(automatic reply|auto(-| )?(reply|response)|auto:|out of( the)? office|automatische antwort|"
    r"abwesen|réponse automatique|respuesta automática|resposta automática|risposta automatica|"
    r"автоответ|автоматический ответ|autoodpowied)",
    re.IGNORECASE,
)


def read_return(raw: bytes, envelope: Envelope = UNKNOWN_ENVELOPE) -> list[Report]:
    """Return the letter's reports, one per recipient; a letter in an unknown format is UNCLEAR."""
    try:
        letter = open_letter(raw[:MAX_READ], envelope)
        found = (reports for read in FORMATS if (reports := read(letter)))
        return next(found, None) or [Report(Kind.UNCLEAR, quoted=letter.quoted)]
    except Exception:  # a bug in our code; it must not delay the letters after this one
        logger.exception("A returned letter cannot be read")
        return [Report(Kind.UNCLEAR)]


def read_auto_reply(letter: OpenedLetter) -> list[Report]:
    """Recognize vacation messages and other automatic replies (RFC 3834)."""
    if MAILER.search(get_header(letter.headers, "from")):
        return []
    submitted = get_header(letter.headers, "auto-submitted").lower()
    is_reply = (
        submitted.startswith("auto-replied")
        or "auto_reply" in get_header(letter.headers, "precedence").lower()
        or any(name in letter.headers for name in AUTO_REPLY_HEADERS)
        or AUTO_REPLY_SUBJECT.match(read_subject(letter.headers, 200)) is not None
    )
    return [Report(Kind.AUTO_REPLY, quoted=letter.quoted)] if is_reply else []


FORMATS: tuple[Callable[[OpenedLetter], list[Report]], ...] = (
    feedback.read_complaint,
    delivery_status.read_status,
    prose.read_failed_recipients,
    opt_outs.read_opt_out,
    read_auto_reply,
    prose.read_prose,
    failure_notices.read_failure_notice,
    # Last, because replies to a test letter and reports about it can have its subject.
    probes.read_probe,
)
