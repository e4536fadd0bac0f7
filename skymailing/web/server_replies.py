"""The engine's own words in the log, where a server's reply would be. Translated where they are shown."""

from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.email_addresses import NO_INTERNATIONAL_ADDRESSES

REPLY_TEXTS: dict[str, Any] = {
    NO_INTERNATIONAL_ADDRESSES: _l(
        "The mail server does not accept addresses with non-Latin letters before the @ sign."
    ),
}


def translate_reply(text: str) -> str:
    """Return the engine's own words in the current language, and a server's reply as it is."""
    return str(REPLY_TEXTS.get(text, text))
