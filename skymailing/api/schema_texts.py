"""Translatable texts for the errors of schemas, in place of marshmallow's English ones."""

import re
from typing import Any

from flask_babel import lazy_gettext as _l

INVALID = "invalid_value"
CODES: dict[str, Any] = {
    "required": _l("This field is required."),
    "unknown_field": _l("There is no such field."),
    "null": _l("This field cannot be null."),
}
# marshmallow's messages that have their own code; TEXTS and PATTERNS contain the others.
MESSAGES = {
    "Missing data for required field.": "required",
    "Unknown field.": "unknown_field",
    "Field may not be null.": "null",
}
MOMENT = _l("This must be a time with an offset, such as 2026-12-31T09:00:00+03:00.")
TEXTS: dict[str, Any] = {
    "Not a valid string.": _l("This must be a string."),
    "Not a valid integer.": _l("This must be a whole number."),
    "Not a valid number.": _l("This must be a number."),
    "Number too large.": _l("This number is too large."),
    "Not a valid boolean.": _l("This must be true or false."),
    "Not a valid list.": _l("This must be an array."),
    "Not a valid mapping type.": _l("This must be an object."),
    "Invalid input type.": _l("This must be an object."),
    "Not a valid datetime.": MOMENT,
    "Not a valid aware datetime.": MOMENT,
    "Not a valid date.": _l("This must be a date, such as 2026-12-31."),
    "Not a valid time.": _l("This must be a time, such as 09:00."),
    "Use one line without special characters.": _l("Use one line without special characters."),
    "Not a string, number, boolean or null.": _l("This must be a string, a number, true, false or null."),
}
PATTERNS: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"Must be one of: (?P<choices>.+)\.", _l("This must be one of: %(choices)s.")),
        (r"Shorter than minimum length (?P<min>\d+)\.", _l("The length must be at least %(min)s.")),
        (r"Longer than maximum length (?P<max>\d+)\.", _l("The length must be at most %(max)s.")),
        (
            r"Length must be between (?P<min>\d+) and (?P<max>\d+)\.",
            _l("The length must be between %(min)s and %(max)s."),
        ),
        (r"Must be greater than or equal to (?P<min>-?\d+)\.", _l("This must be at least %(min)s.")),
        (r"Must be less than or equal to (?P<max>-?\d+)\.", _l("This must be at most %(max)s.")),
        (
            r"Must be greater than or equal to (?P<min>-?\d+) and less than or equal to (?P<max>-?\d+)\.",
            _l("This must be between %(min)s and %(max)s."),
        ),
    )
)


def explain_schema_error(message: str) -> tuple[str, str]:
    """Return the code and the text of one of marshmallow's messages."""
    if code := MESSAGES.get(message):
        return code, str(CODES[code])
    if message in TEXTS:
        return INVALID, str(TEXTS[message])
    for pattern, text in PATTERNS:
        if found := pattern.fullmatch(message):
            return INVALID, str(text) % found.groupdict()
    return INVALID, message
