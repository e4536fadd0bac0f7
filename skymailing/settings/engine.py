"""Every number that the engine goes by, with its default; ENGINE_<NAME> in the environment sets it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from flask import current_app

from skymailing.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Times are in seconds unless the name says otherwise."""

    # A window of letters: claimed together, recorded together.
    first_window: int = 20
    largest_window: int = 500
    window_seconds: float = 1.0  # no letter is begun later: bounds what a pause cannot stop
    letter_seconds: float = 60.0  # for all of the server's replies to one letter together
    lease_margin_seconds: float = 120.0  # beyond both, before a claim counts as lost
    record_patience_seconds: float = 90.0  # to go on trying while the database is away
    # Sessions with the mail server.
    session_growth_letters: int = 10  # accepted letters for which one more session is opened
    session_pause_seconds: float = 60.0  # after one that could not be opened, until more are tried
    session_idle_seconds: float = 30.0  # after a longer rest they are opened anew
    # A slice of a run: how long a worker stays with it.
    slice_seconds: float = 20.0
    least_slice_seconds: float = 1.0  # the same when others wait
    late_minutes: float = 10.0  # after its time, until a start is skipped if that is the mailing's choice
    # Trying again.
    retry_minutes: tuple[float, ...] = (1, 5, 15, 30, 60, 120, 240)  # the last one repeats
    retry_jitter: float = 0.2  # a wait is this much shorter or longer, by chance
    most_attempts: int = 20
    most_hours: float = 72.0  # of sending hours, since the letter was first tried
    longest_hint_hours: float = 24.0  # a server that asks for more is asked again all the same
    unknown_minutes: float = 30.0
    most_unknowns: int = 2  # of one delivery; the last one stays
    # The circuit breaker of a route (open = no letters are sent).
    breaker_faults_in_a_row: int = 5
    breaker_fault_share: float = 0.5
    breaker_least_attempts: int = 10  # for the share to mean something
    breaker_window_seconds: float = 60.0  # over which the share is taken
    breaker_first_pause: int = 60  # doubles with every failed probe
    breaker_longest_pause: int = 900  # also the first one when the server refuses our credentials
    breaker_jitter: float = 0.2
    breaker_probe_seconds: float = 60.0  # after which a probe that reported nothing counts as lost
    # Letters rejected alike, one after another, before the mailing pauses.
    most_equal_rejections: int = 10

    @property
    def lease(self) -> timedelta:
        """For how long a claim is believed: past the window and its slowest letter."""
        return timedelta(seconds=self.window_seconds + self.letter_seconds + self.lease_margin_seconds)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "EngineSettings":
        """Return the defaults with what the environment sets; raises ConfigurationError."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            variable = f"ENGINE_{field.name.upper()}"
            text = environ.get(variable, "").strip()
            if text:
                given[field.name] = _parse(variable, text, field.default)
        return cls(**given)


def _parse(variable: str, text: str, default: object) -> object:
    number = int if isinstance(default, int) else float
    try:
        values = tuple(number(part) for part in (text.split(",") if isinstance(default, tuple) else [text]))
    except ValueError as error:
        raise ConfigurationError(f"{variable} must be a number like {default}, not {text!r}.") from error
    if not all(0 <= value < 1e9 for value in values):
        raise ConfigurationError(f"{variable} must be neither negative nor endless, as {text!r} is.")
    return values if isinstance(default, tuple) else values[0]


def engine_settings() -> EngineSettings:
    """Return the app's settings of the engine."""
    settings: EngineSettings = current_app.config["ENGINE"]
    return settings
