"""Define the delivery engine's settings; ENGINE_<NAME> in the environment overrides a default."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from flask import current_app

from skymailing.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of the delivery engine; times are in seconds unless the name says otherwise."""

    # A window: letters that are claimed together and recorded together.
    first_window: int = 20
    largest_window: int = 2_000
    window_seconds: float = 1.0  # no letter is started later; limits letters sent after a mailing is paused
    letter_seconds: float = 60.0  # for all replies of the server to one letter
    lease_margin_seconds: float = 120.0  # added to both, before a claim is considered lost
    record_patience_seconds: float = 90.0  # for retries while the database is unavailable
    # Sessions with the mail server.
    session_growth_letters: int = 10  # accepted letters per additional session
    session_pause_seconds: float = 60.0  # after a session could not be opened, before another is tried
    session_idle_seconds: float = 1.0  # before a worker without a job closes its sessions
    step_by_step_hours: float = 24.0  # after pipelining has failed, before it is tried again
    # The pace of a route after the server has asked us to slow down.
    # For measuring the rate before a refusal. In this time, the pace decreases at most once.
    pace_measure_seconds: float = 20.0
    pace_decrease: float = 0.7  # the new pace, as a share of the rate before the refusal
    pace_increase: float = 0.1  # of the pace at the refusal, added while letters wait for it
    pace_increase_seconds: float = 5.0  # between two increases
    pace_forget_factor: float = 4.0  # of the pace at the refusal; above it, there is no limit
    pace_first_pause: float = 1.0  # doubles with each further refusal until a letter is accepted
    pace_longest_pause: float = 60.0
    # A slice: the time that a worker spends on one run.
    slice_seconds: float = 20.0
    least_slice_seconds: float = 1.0  # while other jobs wait
    most_runs_per_owner: int = 10  # that have letters to send at the same time; further starts wait
    late_minutes: float = 10.0  # delay after which a start is skipped, if the mailing skips late starts
    # Retries.
    retry_minutes: tuple[float, ...] = (1, 5, 15, 30, 60, 120, 240)  # the last one repeats
    retry_jitter: float = 0.2  # random variation of a wait, as a share of it
    most_attempts: int = 20
    most_hours: float = 72.0  # hours of permitted sending time since the first attempt
    longest_hint_hours: float = 24.0  # the longest wait that a server can ask for
    unknown_minutes: float = 30.0
    most_unknowns: int = 2  # per delivery; the last one is not sent again
    # The circuit breaker of a route.
    breaker_faults_in_a_row: int = 5
    breaker_fault_share: float = 0.5
    breaker_least_attempts: int = 10  # before the share is considered
    breaker_window_seconds: float = 60.0  # in which the share is measured
    breaker_first_pause: int = 60  # doubles with every failed probe
    breaker_longest_pause: int = 900  # also the first pause if the server refuses our credentials
    breaker_jitter: float = 0.2
    breaker_probe_seconds: float = 60.0  # before a probe without a result is considered lost
    # Consecutive letters rejected for the same reason before the mailing is paused.
    most_equal_rejections: int = 10

    @property
    def lease(self) -> timedelta:
        """The time after which a claim is considered lost: longer than a window and its slowest letter."""
        return timedelta(seconds=self.window_seconds + self.letter_seconds + self.lease_margin_seconds)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "EngineSettings":
        """Return the defaults, overridden by the environment; raises ConfigurationError."""
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
        raise ConfigurationError(f"{variable} must be between 0 and 1000000000, not {text!r}.")
    return values if isinstance(default, tuple) else values[0]


def engine_settings() -> EngineSettings:
    """Return the engine settings of the current app."""
    settings: EngineSettings = current_app.config["ENGINE"]
    return settings
