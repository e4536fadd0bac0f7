"""The texts of errors with a code."""

from flask import Flask
from flask_babel import force_locale

from skymailing.errors import UserError
from skymailing.web.error_texts import explain


def test_an_error_is_explained_in_the_current_language_with_its_values(app: Flask) -> None:
    error = UserError("time_year_out_of_range", first=1970, last=9000)
    for language, text in (("en", "between 1970 and 9000"), ("ru", "от 1970 до 9000")):
        with app.test_request_context(), force_locale(language):
            assert text in explain(error)
