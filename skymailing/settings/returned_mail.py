"""Define the ways in for returned mail, besides the pipe: webhooks of providers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import current_app

from skymailing.errors import ConfigurationError

# Names in URLs and settings; `returns/providers/registry.py` has what reads their webhooks.
PROVIDERS = ("amazon_ses", "brevo", "mailgun", "postmark", "sendgrid", "unisender_go")
# Those that sign what they post with a key of the account. Amazon signs with certificates.
SIGNING_PROVIDERS = ("mailgun", "sendgrid", "unisender_go")
MIN_SECRET_LENGTH = 20  # characters
SECRET = re.compile(rf"[A-Za-z0-9_-]{{{MIN_SECRET_LENGTH},}}")
PAIR = "name:value pairs separated by spaces, as in postmark:the-secret brevo:another-secret"


@dataclass(frozen=True, slots=True)
class ReturnedMailSettings:
    """Secrets of webhooks by provider; a provider without a secret cannot post anything."""

    webhook_secrets: Mapping[str, str] = field(default_factory=dict)
    # With which the provider signs what it posts: a public key, a signing key or an API key.
    webhook_keys: Mapping[str, str] = field(default_factory=dict)

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
        return cls(secrets, _read_pairs(environ, "WEBHOOK_KEYS", SIGNING_PROVIDERS))

    def list_secrets(self) -> list[str]:
        """Return what must never be logged."""
        return [*self.webhook_secrets.values(), *self.webhook_keys.values()]


def returned_mail_settings() -> ReturnedMailSettings:
    """Return the app's ways in for returned mail."""
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
