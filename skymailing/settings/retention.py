"""Define how many days data is kept. KEEP_<NAME>_DAYS in the environment sets it; 0 means forever."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from flask import current_app

from skymailing.settings.environment import read_numbers

MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """Retention in days. Data of users and auditors is removed only if the operator chooses to."""

    run_details: int = 0  # deliveries, attempts and text, since the run ended; counts are kept
    audit: int = 0  # entries of the audit log
    account_letters: int = 30  # confirmations, resets and test letters, once sent or failed
    imports: int = 30  # an import's result and the rows that it rejected
    # Consents, since their client was deleted, and the reasons for unsubscribing: proof in case of claims.
    consents: int = 1095
    returned_letters: int = 90  # the letters themselves; what they report is kept with the run's details
    webhook_calls: int = 30  # events that webhooks have reported, with their calls
    caught_letters: int = 30  # letters of the mail catcher, in development

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "RetentionSettings":
        """Return the settings of the environment, or their defaults; raises ConfigurationError."""
        variables = {field.name: (f"KEEP_{field.name.upper()}_DAYS", MAX_DAYS) for field in fields(cls)}
        return cls(**read_numbers(environ, variables, "a number of days"))


def retention_settings() -> RetentionSettings:
    """Return the app's retention settings."""
    settings: RetentionSettings = current_app.config["RETENTION"]
    return settings


def find_cutoff(days: int, now: datetime) -> datetime | None:
    """Return the time before which data is removed; None when it is kept forever."""
    return now - timedelta(days=days) if days else None
