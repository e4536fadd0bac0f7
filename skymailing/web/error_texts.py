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
    "message_in_use": _l("This message is used in mailings, so it cannot be deleted: %(names)s."),
    "message_changed": _l("This message has been saved in another window."),
    "message_draft_elsewhere": _l("This message is being edited in another window."),
    "message_newer_draft": _l("This message has a newer draft, which was kept."),
    "message_too_many_drafts": _l("You have too many drafts. Discard some of them."),
    "message_too_many_pictures": _l(
        "There is no room for more pictures. Unused ones are deleted after two days."
    ),
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
