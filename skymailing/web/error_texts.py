"""The text of every `UserError`, by its code. Translated where it is shown."""

from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.errors import UserError

# <feature>_<what is wrong>; programs rely on the codes, so a code never changes its meaning.
ERROR_TEXTS: dict[str, Any] = {
    # --- accounts -----------------------------------------------------------------------------
    "account_exists": _l("There is already an account with the address %(email)s."),
    "account_forbidden": _l("You cannot change this account."),
    "account_last_admin": _l("This is the last administrator. Make someone else an administrator first."),
    "account_deletion_started": _l("It is too late: your account is being deleted."),
    "password_too_short": _l("The password needs at least %(length)d characters."),
    "password_too_long": _l("The password is longer than %(length)d characters."),
    "password_too_common": _l("This password is too easy to guess. Please choose another one."),
    "password_like_email": _l("Please choose a password that differs from your e-mail address."),
    "link_invalid": _l("This link does not work."),
    "link_expired": _l("This link has expired."),
    "link_used": _l("This link has already been used."),
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
    "undo_expired": _l("It is too late to undo this."),
    "undo_message_deleted": _l("Its message has been deleted, so it cannot be restored."),
}


def explain(error: UserError) -> str:
    """Return the text for an error in the current language."""
    text = ERROR_TEXTS[error.code]
    return str(text % error.values if error.values else text)
