"""Test that numbers follow the reader's language."""

import pytest
from flask import Flask
from flask_babel import force_locale, format_decimal

from skymailing.web.formats import number

pytestmark = pytest.mark.one_engine


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("value", [0, 7, 999, 1_000, 12_345, 1_234_567, -1, -12_345, 0.5, 1_234.5])
def test_numbers_are_formatted_as_by_babel(app: Flask, language: str, value: float) -> None:
    with app.test_request_context(), force_locale(language):
        assert number(value) == format_decimal(value)
