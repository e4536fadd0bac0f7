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
    #
    # --- reports ------------------------------------------------------------------------------
    #
    # --- pictures -----------------------------------------------------------------------------
    #
    # --- undo ---------------------------------------------------------------------------------
}


def explain(error: UserError) -> str:
    """Return the text for an error in the current language."""
    text = ERROR_TEXTS[error.code]
    return str(text % error.values if error.values else text)
