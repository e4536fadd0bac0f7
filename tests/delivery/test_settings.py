"""The engine's numbers: their defaults are the design's, and the environment sets each."""

from dataclasses import fields
from pathlib import Path

import pytest

from skymailing.errors import ConfigurationError
from skymailing.settings.engine import EngineSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "engine.md"


def test_a_number_is_set_by_the_environment() -> None:
    settings = EngineSettings.from_environment({"ENGINE_MOST_ATTEMPTS": "3", "ENGINE_LETTER_SECONDS": "1.5"})

    assert (settings.most_attempts, settings.letter_seconds) == (3, 1.5)
    assert settings.retry_minutes == EngineSettings().retry_minutes


def test_a_list_is_set_by_the_environment() -> None:
    settings = EngineSettings.from_environment({"ENGINE_RETRY_MINUTES": "0.5, 2"})

    assert settings.retry_minutes == (0.5, 2.0)


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan", "1,2", "3.5"])
def test_what_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match="ENGINE_MOST_ATTEMPTS"):
        EngineSettings.from_environment({"ENGINE_MOST_ATTEMPTS": text})


@pytest.mark.parametrize("field", fields(EngineSettings), ids=lambda field: field.name)
def test_every_number_is_documented_with_its_default(field: object) -> None:
    default = ", ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default  # type: ignore[attr-defined]
    variable = f"ENGINE_{field.name.upper()}"  # type: ignore[attr-defined]

    assert f"| `{variable}` | {default} |" in DOCUMENT.read_text()
