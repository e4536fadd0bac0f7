"""Test the texts of errors with a code."""

from typing import NoReturn

import pytest
from flask import Flask
from flask_babel import force_locale

from skymailing.errors import UserError
from skymailing.web.error_texts import explain

# Error texts do not depend on the database.
pytestmark = pytest.mark.one_engine


def test_an_error_is_explained_in_the_current_language_with_its_values(app: Flask) -> None:
    error = UserError("time_year_out_of_range", first=1970, last=9000)
    for language, text in (("en", "between 1970 and 9000"), ("ru", "от 1970 до 9000")):
        with app.test_request_context(), force_locale(language):
            assert text in explain(error)


def test_an_error_that_no_view_handles_gets_a_page(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> NoReturn:
        raise UserError("time_year_out_of_range", first=1970, last=9000)

    monkeypatch.setitem(app.view_functions, "blog.media", fail)
    browser = app.test_client()
    page = browser.get("/blog/media/picture.jpg", headers={"Accept": "text/html"})
    assert page.status_code == 422
    assert "between 1970 and 9000" in page.text
    assert browser.get("/blog/media/picture.jpg").text.startswith("422 This is not possible")
