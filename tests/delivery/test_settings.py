"""Test that engine settings are read from the environment and documented."""

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from config import TestingConfig
from skymailing.errors import ConfigurationError
from skymailing.settings.engine import EngineSettings
from skymailing.settings.reputation import ReputationSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "engine.md"


def test_numbers_are_read_from_the_environment() -> None:
    settings = EngineSettings.from_environment({"ENGINE_MOST_ATTEMPTS": "3", "ENGINE_LETTER_SECONDS": "1.5"})

    assert (settings.most_attempts, settings.letter_seconds) == (3, 1.5)
    assert settings.retry_minutes == EngineSettings().retry_minutes


def test_lists_are_read_from_the_environment() -> None:
    settings = EngineSettings.from_environment({"ENGINE_RETRY_MINUTES": "0.5, 2"})

    assert settings.retry_minutes == (0.5, 2.0)


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan", "1,2", "3.5"])
def test_the_error_for_an_invalid_value_names_the_variable(text: str) -> None:
    with pytest.raises(ConfigurationError, match="ENGINE_MOST_ATTEMPTS"):
        EngineSettings.from_environment({"ENGINE_MOST_ATTEMPTS": text})


@pytest.mark.parametrize("text", ["much", "-1", "101", "nan", "0,3"])
def test_the_shares_that_pause_mailings_are_percentages(text: str) -> None:
    assert ReputationSettings.from_environment({"PAUSE_AT_COMPLAINTS": "0.1"}).pause_at_complaints == 0.1
    with pytest.raises(ConfigurationError, match="PAUSE_AT_BOUNCES"):
        ReputationSettings.from_environment({"PAUSE_AT_BOUNCES": text})


def test_a_distant_server_gets_at_least_as_many_sessions_as_a_near_one() -> None:
    environment = {"SECRET_KEY": "only-for-tests-" * 3, "MAIL_MAX_CONNECTIONS": "30"}
    assert TestingConfig(environment).MAIL_MAX_DISTANT_CONNECTIONS == 30
    with pytest.raises(ConfigurationError, match="MAIL_MAX_DISTANT_CONNECTIONS must be between 30 and"):
        TestingConfig(environment | {"MAIL_MAX_DISTANT_CONNECTIONS": "10"})


@pytest.mark.parametrize("field", fields(EngineSettings), ids=lambda field: field.name)
def test_every_setting_is_documented_with_its_default(field: Field[Any]) -> None:
    default = ", ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    variable = f"ENGINE_{field.name.upper()}"

    assert f"| `{variable}` | {default} |" in DOCUMENT.read_text()
