"""Redact log lines: secrets always, email addresses from level INFO upwards.

Redaction works on the finished text, so it covers our own messages, libraries' messages, and tracebacks.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

SECRET = "[secret]"  # noqa: S105 - a placeholder
TOKEN = "[token]"  # noqa: S105
MIN_LENGTH = 4  # characters of a known secret; shorter ones occur in ordinary words

# A token signed by itsdangerous: payload, optional timestamp, and an SHA-1 or SHA-256 signature.
SIGNED_TOKENS = r"(?<![\w-])[\w-]{4,}(?:\.[\w-]{4,10})?\.(?:[\w-]{43}|[\w-]{27})(?![\w-])"
# Links that end in a token, including a damaged one.
LINKS = (
    r"(?P<link>/(?:[upvco]|verify|reset|auth/email|senders/confirm|messages/test-emails/confirm|f/[\w-]{1,40}/confirm|messages/files|hooks/\w{1,40})/)"
    r"(?!<)[^\s\"'/?#]+"
)
HASHES = r"\$argon2[^\s\"',]+"
NAMED_SECRETS = (
    # Limited, because an unlimited repetition would take hours on a text made of such words.
    r"(?P<name>(?:password|passwd|secret|token|authorization|cookie|api[_-]?key)\w{0,40}"
    r"[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic)\s+)?(?!\[(?:secret|token)\])[^\s\"',;&}]+"
)
API_KEYS = r"sky_(?:live|test)_[\w-]+"
SECRETS = re.compile("|".join((LINKS, API_KEYS, SIGNED_TOKENS, HASHES, NAMED_SECRETS)), re.IGNORECASE)
ADDRESSES = re.compile(
    r"(?:\"[^\"\s]{1,64}\"|[^\s<>\"'(),;:\[\]=\\@&?/]{1,128})(?:@|%40)(?P<domain>[^\s<>\"'(),;:\[\]=\\@&?/#]+)"
)


class Redactor:
    """Redacts the secrets of this installation, and anything that looks like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        longest_first = sorted((form for form in known if len(form) >= MIN_LENGTH), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def clean(self, text: str, *, keep_addresses: bool = False) -> str:
        """Return the text without secrets, and with only the domains of email addresses."""
        if self._known:
            text = self._known.sub(SECRET, text)
        text = SECRETS.sub(_hide, text)
        if not keep_addresses and ("@" in text or "%40" in text):
            text = ADDRESSES.sub(r"…@\g<domain>", text)
        return text


def _hide(found: re.Match[str]) -> str:
    if found["link"]:
        return found["link"] + TOKEN
    return found["name"] + SECRET if found["name"] else TOKEN


def secrets_of(config: Mapping[str, Any]) -> list[str]:
    """Return the secrets in the settings, including passwords in database and Redis URLs."""
    fallback = config.get("MAIL_FALLBACK")
    secrets = [
        config.get("SECRET_KEY"),
        config.get("MAIL_PASSWORD"),
        config.get("METRICS_TOKEN"),
        getattr(fallback, "password", None),
        getattr(config.get("OIDC"), "client_secret", None),
    ]
    if returned_mail := config.get("RETURNED_MAIL"):
        secrets += returned_mail.list_secrets()
    for name in ("SQLALCHEMY_DATABASE_URI", "REDIS_URL"):
        secrets.append(unquote(urlsplit(str(config.get(name, ""))).password or ""))
    return [secret for secret in secrets if secret]
