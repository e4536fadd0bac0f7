"""Check text for the headers of letters."""

import unicodedata

from skymailing.mailings.errors import MailingError


def check_line(text: str, max_length: int) -> MailingError | None:
    """Check text that goes into a letter's header: no line breaks, no control characters."""
    if len(text) > max_length:
        return MailingError("mailing_text_too_long", limit=max_length)
    has_control = any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)
    return MailingError("mailing_text_not_one_line") if has_control else None
