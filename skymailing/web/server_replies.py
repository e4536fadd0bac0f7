"""Translate the engine's own messages, which the log shows in place of a server's reply."""

import re
from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.email_addresses import NO_INTERNATIONAL_ADDRESSES

REPLY_TEXTS: dict[str, Any] = {
    NO_INTERNATIONAL_ADDRESSES: _l(
        "The mail server does not accept addresses with non-Latin letters before the @ sign."
    ),
    "the sending process ended and left no record of this letter": _l(
        "Sending was interrupted, and there is no record of this email."
    ),
    "the sending process ended after the letter was handed over and before the server replied": _l(
        "Sending was interrupted after the email was handed over, before the server replied."
    ),
    "the server closed the connection": _l("The mail server closed the connection."),
    "the server's reply does not end": _l("The mail server's reply does not end."),
}
# Messages with values, which the list of refusals replaces with "…".
REPLY_PATTERNS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"connection lost: (?P<error>.*)"), _l("The connection was lost: %(error)s")),
    (
        re.compile(r"no reply within (?P<seconds>\S+) s"),
        _l("The mail server did not reply within %(seconds)s s."),
    ),
    (
        re.compile(r"the letter cannot be rendered: (?P<error>.*)"),
        _l("The email could not be put together: %(error)s"),
    ),
    (
        re.compile(r"the letter has (?P<size>\S+) bytes, and the mail server accepts at most (?P<limit>\S+)"),
        _l("The email has %(size)s bytes, and the mail server accepts up to %(limit)s."),
    ),
    (
        re.compile(r"service restored from a backup of (?P<time>.*); may have been sent after that"),
        _l("The service was restored from a backup of %(time)s. The email may have been sent after that."),
    ),
)


def translate_reply(text: str) -> str:
    """Return an engine message in the current language, or a server's reply unchanged."""
    for pattern, translation in REPLY_PATTERNS:
        if match := pattern.fullmatch(text):
            return str(translation) % match.groupdict()
    return str(REPLY_TEXTS.get(text, text))
