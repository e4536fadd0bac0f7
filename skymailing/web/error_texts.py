"""The text of every `UserError`, by its code. Translated where it is shown."""

from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.errors import UserError

# <feature>_<what is wrong>; programs rely on the codes, so a code never changes its meaning.
ERROR_TEXTS: dict[str, Any] = {
    # --- accounts -----------------------------------------------------------------------------
    #
    # --- clients ------------------------------------------------------------------------------
    #
    # --- mailings -----------------------------------------------------------------------------
    "mailing_deleted": _l("This mailing has been deleted."),
    #
    # --- messages -----------------------------------------------------------------------------
    "message_too_many_pictures": _l(
        "There is no room for more pictures. Unused ones are deleted after two days."
    ),
    #
    # --- reports ------------------------------------------------------------------------------
    #
    # --- pictures -----------------------------------------------------------------------------
    "picture_file_too_large": _l("This picture is larger than %(size)s MB. Choose a smaller file."),
    "picture_unreadable": _l("This file cannot be read as a picture. Choose a JPEG, PNG or WebP file."),
    "picture_too_small": _l("This picture is too small to be seen."),
    "picture_too_many_pixels": _l(
        "This picture has more than %(count)s million pixels. Choose a smaller one."
    ),
    #
    # --- times --------------------------------------------------------------------------------
    "time_unreadable": _l("Enter a date and a time, for example 2026-12-31T09:00."),
    "time_year_out_of_range": _l("Choose a year between %(first)s and %(last)s."),
    "time_skipped": _l("This time does not exist on that day: the clocks go forward. Choose another time."),
    #
    # --- undo ---------------------------------------------------------------------------------
}


def explain(error: UserError) -> str:
    """Return the text for an error in the current language."""
    text = ERROR_TEXTS[error.code]
    return str(text % error.values if error.values else text)
