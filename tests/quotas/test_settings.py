"""Test the settings of limits per user."""

import re
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from skymailing.errors import ConfigurationError
from skymailing.settings.quotas import QuotaSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "limits.md"


def test_a_limit_is_read_from_the_environment() -> None:
    settings = QuotaSettings.from_environment(
        {"LIMIT_LETTERS_PER_DAY": "1000", "LIMIT_NEW_ACCOUNT_DAYS": " "}
    )

    assert settings.letters_per_day == 1000
    assert settings.new_account_days == QuotaSettings().new_account_days


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "9999999999", "²"])
def test_an_unusable_limit_is_rejected(text: str) -> None:
    with pytest.raises(ConfigurationError, match="LIMIT_LETTERS_PER_DAY must be a whole number"):
        QuotaSettings.from_environment({"LIMIT_LETTERS_PER_DAY": text})


@pytest.mark.parametrize("field", fields(QuotaSettings), ids=lambda field: field.name)
def test_each_limit_is_documented_with_its_default(field: Field[Any]) -> None:
    rows = dict(re.findall(r"^\| `(LIMIT_\w+)` \| ([\d,]+) \|", DOCUMENT.read_text(), re.MULTILINE))

    assert int(rows[f"LIMIT_{field.name.upper()}"].replace(",", "")) == field.default
