"""Translate the engine's own messages, which the log shows in place of a server's reply."""

from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.email_addresses import NO_INTERNATIONAL_ADDRESSES

REPLY_TEXTS: dict[str, Any] = {
    NO_INTERNATIONAL_ADDRESSES: _l(
        "The mail server does not accept addresses with non-Latin letters before the @ sign."
    ),
}


def translate_reply(text: str) -> str:
    """Return the engine's messages in the current language, and a server's reply unchanged."""
    return str(REPLY_TEXTS.get(text, text))
