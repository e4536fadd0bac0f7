"""Define how returned mail is received other than by a pipe: providers' webhooks, and a mailbox."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from flask import current_app

from skymailing.errors import ConfigurationError
from skymailing.settings.addresses import UNREADABLE

# Names in URLs and settings; `returns/providers/registry.py` has the code that reads their webhooks.
PROVIDERS = ("amazon_ses", "brevo", "mailgun", "postmark", "sendgrid", "unisender_go")
# The providers that sign their posts with the account's key. Amazon signs with certificates.
SIGNING_PROVIDERS = ("mailgun", "sendgrid", "unisender_go")
MIN_SECRET_LENGTH = 20  # characters
SECRET = re.compile(rf"[A-Za-z0-9_-]{{{MIN_SECRET_LENGTH},}}")
PAIR = "name:value pairs separated by spaces, as in postmark:the-secret brevo:another-secret"


# Only protocols that use TLS from the start.
MAILBOX_PORTS = {"imaps": 993, "pop3s": 995}
MAILBOX_EXAMPLE = "imaps://user:password@mail.example.com/INBOX"
NOT_ASCII = (
    "RETURN_MAILBOX: IMAP only allows ASCII characters in names and passwords. "
    "Write a folder as the mail server does, such as imaps://user:password@host/&BCcEOARC-"
)


@dataclass(frozen=True, slots=True)
class MailboxAddress:
    """The mailbox for returned letters; `folder` matters only to IMAP."""

    is_imap: bool
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    folder: str

    @classmethod
    def parse(cls, text: str) -> "MailboxAddress":
        """Return the address in a URL; raises ConfigurationError, which quotes no part of it."""
        try:
            url = urlsplit(text)
            port = url.port or MAILBOX_PORTS[url.scheme]
        except (ValueError, KeyError) as error:
            raise ConfigurationError(UNREADABLE.format("RETURN_MAILBOX", MAILBOX_EXAMPLE)) from error
        values = (unquote(url.username or ""), unquote(url.password or ""), unquote(url.path[1:]) or "INBOX")
        if not url.hostname or not all(values) or not "".join(values).isprintable():
            raise ConfigurationError(UNREADABLE.format("RETURN_MAILBOX", MAILBOX_EXAMPLE))
        is_imap = url.scheme == "imaps"
        if is_imap and not "".join(values).isascii():
            raise ConfigurationError(NOT_ASCII)
        return cls(is_imap, url.hostname, port, *values)


@dataclass(frozen=True, slots=True)
class ReturnedMailSettings:
    """Secrets of webhooks by provider; a provider without a secret cannot post anything."""

    webhook_secrets: Mapping[str, str] = field(default_factory=dict)
    # The keys with which providers sign their posts: a public key, a signing key or an API key.
    webhook_keys: Mapping[str, str] = field(default_factory=dict)
    # The mailbox that is read every few minutes.
    mailbox: MailboxAddress | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ReturnedMailSettings":
        """Return the settings of the environment; raises ConfigurationError, which quotes no secret."""
        secrets = _read_pairs(environ, "WEBHOOK_SECRETS", PROVIDERS)
        for name, secret in secrets.items():
            if not SECRET.fullmatch(secret):
                raise ConfigurationError(
                    f"WEBHOOK_SECRETS: the secret of {name} needs at least {MIN_SECRET_LENGTH} letters, "
                    "digits, hyphens or underscores: openssl rand -hex 16"
                )
        mailbox = environ.get("RETURN_MAILBOX", "").strip()
        return cls(
            secrets,
            _read_pairs(environ, "WEBHOOK_KEYS", SIGNING_PROVIDERS),
            MailboxAddress.parse(mailbox) if mailbox else None,
        )

    def list_secrets(self) -> list[str]:
        """Return the values that must never be logged."""
        passwords = [self.mailbox.password] if self.mailbox else []
        return [*self.webhook_secrets.values(), *self.webhook_keys.values(), *passwords]


def returned_mail_settings() -> ReturnedMailSettings:
    """Return the app's settings for returned mail."""
    settings: ReturnedMailSettings = current_app.config["RETURNED_MAIL"]
    return settings


def _read_pairs(environ: Mapping[str, str], variable: str, names: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in environ.get(variable, "").split():
        name, colon, value = text.partition(":")
        if not colon or not value or name not in names:
            raise ConfigurationError(f"{variable} must be {PAIR}; the names are {', '.join(names)}.")
        pairs[name] = value
    return pairs
