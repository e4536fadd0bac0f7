"""For how many days things are kept; KEEP_<NAME>_DAYS in the environment sets it, 0 means for ever."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from flask import current_app

from skymailing.errors import ConfigurationError

MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Keep:
    """Days; what belongs to users and auditors goes only when the operator asks for it."""

    run_details: int = 0  # after the run has ended: its letters, attempts and text; numbers stay
    audit: int = 0  # lines of the audit log
    account_letters: int = 30  # confirmations, resets and test letters, once they are settled
    imports: int = 30  # what an import told of a file and of the rows that it did not take
    caught_letters: int = 30  # in development

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Keep":
        """Return the defaults with what the environment sets; raises ConfigurationError."""
        given = {}
        for field in fields(cls):
            variable = f"KEEP_{field.name.upper()}_DAYS"
            text = environ.get(variable, "").strip()
            if not text:
                continue
            if not (text.isascii() and text.isdigit() and int(text) <= MOST_DAYS):
                raise ConfigurationError(f"{variable} must be a number of days, not {text!r}.")
            given[field.name] = int(text)
        return cls(**given)


def keep() -> Keep:
    """Return the app's settings."""
    settings: Keep = current_app.config["KEEP"]
    return settings


def cutoff(days: int, now: datetime) -> datetime | None:
    """Return the moment before which things go; None when they stay."""
    return now - timedelta(days=days) if days else None
