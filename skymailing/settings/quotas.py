"""Define the limits per user. LIMIT_<NAME> in the environment sets a limit; 0 means no limit."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from flask import current_app

from skymailing.settings.environment import read_numbers

LARGEST_LIMIT = 1_000_000_000
LARGEST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """The limits per user. Limits on letters only delay them."""

    letters_per_hour: int = 0
    letters_per_day: int = 0
    new_account_letters_per_day: int = 500
    new_account_days: int = 3  # since the address was confirmed, unless a manager trusts the account earlier
    test_letters_per_hour: int = 10
    registrations_per_mailbox: int = 3  # in a day, with different tags as in name+tag@example.com
    clients: int = 1_000_000
    messages: int = 10_000
    mailings: int = 10_000
    segments: int = 500
    sequences: int = 200  # without archived ones
    forms: int = 100
    topics: int = 50
    senders: int = 50
    domains: int = 20
    servers: int = 10
    webhooks: int = 10
    drafts: int = 200  # unsaved ones, including those discarded in the last two days
    pictures: int = 500
    pictures_mb: int = 200
    files_per_message: int = 10
    files_per_message_mb: int = 5
    files_mb: int = 500  # of all messages, and of runs whose details are kept
    unfinished_imports: int = 3
    imports_per_day: int = 100
    api_requests_per_minute: int = 600  # of one API key
    rejections_per_import: int = 20_000  # stored for correction; further ones are only counted

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "QuotaSettings":
        """Return settings from the environment, or their defaults; raises ConfigurationError."""
        variables = {field.name: (f"LIMIT_{field.name.upper()}", LARGEST_LIMIT) for field in fields(cls)}
        variables["new_account_days"] = ("LIMIT_NEW_ACCOUNT_DAYS", LARGEST_DAYS)
        return cls(**read_numbers(environ, variables, "a whole number, 0 for no limit"))


def quota_settings() -> QuotaSettings:
    """Return the app's limits per user."""
    settings: QuotaSettings = current_app.config["QUOTAS"]
    return settings
