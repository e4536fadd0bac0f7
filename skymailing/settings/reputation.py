"""Define how many bounces and complaints pause an owner's mailings, as shares of their last letters."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from flask import current_app

from skymailing.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ReputationSettings:
    """The shares, in percent, above which mailings are paused; 0 means never."""

    pause_at_complaints: float = 0.3  # Gmail and Yahoo refuse senders above it
    pause_at_bounces: float = 5.0  # letters to addresses that do not exist

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ReputationSettings":
        """Return the defaults, overridden by PAUSE_AT_...; raises ConfigurationError."""
        given = {}
        for field in fields(cls):
            variable = field.name.upper()
            if text := environ.get(variable, "").strip():
                given[field.name] = _parse_percent(variable, text)
        return cls(**given)


def _parse_percent(variable: str, text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise ConfigurationError(f"{variable} must be a percentage like 0.3, or 0 for never, not {text!r}.")
    return percent


def reputation_settings() -> ReputationSettings:
    """Return the app's limits for bounces and complaints."""
    settings: ReputationSettings = current_app.config["REPUTATION"]
    return settings
