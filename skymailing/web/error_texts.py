"""The text of every `UserError`, by its code. Translated where it is shown."""

from enum import StrEnum
from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.errors import UserError
from skymailing.web.labels import state_label

# <feature>_<what is wrong>; programs rely on the codes, so a code never changes its meaning.
ERROR_TEXTS: dict[str, Any] = {
    # --- accounts -----------------------------------------------------------------------------
    #
    # --- clients ------------------------------------------------------------------------------
    #
    # --- mailings -----------------------------------------------------------------------------
    "mailing_cancelled": _l("This mailing was cancelled, so it cannot be changed."),
    "mailing_clients_missing": _l("Choose at least one client, or send to all clients."),
    "mailing_clients_unknown": _l("One of the clients does not exist or has been deleted."),
    "mailing_clients_unreadable": _l("One of the clients does not exist."),
    "mailing_deleted": _l("This mailing has been deleted."),
    "mailing_disabled": _l("A manager has disabled this mailing: %(reason)s"),
    "mailing_duplicate": _l("This mailing has already been created."),
    "mailing_end_before_start": _l("The end must be after the start."),
    "mailing_end_missing": _l("Choose when sending ends."),
    "mailing_end_past": _l("The end must be in the future, as the mailing starts at once."),
    "mailing_end_stops_run": _l(
        "Letters are being sent: choose an end in the future. To stop sending, cancel the mailing."
    ),
    "mailing_has_runs": _l("This mailing has run, so it cannot be deleted."),
    "mailing_hours_empty": _l("The hours end when they begin. For the whole day, leave both empty."),
    "mailing_hours_incomplete": _l("Fill in both times, or leave both empty."),
    "mailing_invalid": _l("Some values are not valid."),
    "mailing_message_deleted": _l("Its message has been deleted, so the mailing cannot be restored."),
    "mailing_message_missing": _l("Choose a message."),
    "mailing_message_unknown": _l("This message does not exist. Choose another."),
    "mailing_name_missing": _l("Enter a name."),
    "mailing_no_recipients": _l("This mailing has no clients. Add clients first."),
    "mailing_no_run_to_resend": _l("There is no run whose letters can be sent again."),
    "mailing_not_paused": _l("Only a paused mailing can be resumed."),
    "mailing_not_startable": _l("Only a draft or a scheduled mailing can be started."),
    "mailing_run_details_removed": _l(
        "The details of the last run were removed, so its letters cannot be sent again."
    ),
    "mailing_text_not_one_line": _l("Use one line without line breaks or control characters."),
    "mailing_text_too_long": _l("Use at most %(limit)s characters."),
    "mailing_transition_not_allowed": _l("A mailing that is %(old)s cannot become %(new)s."),
    "mailing_weekdays_unknown": _l("Choose days from 1 (Monday) to 7 (Sunday)."),
    "mailing_window_over": _l("This mailing has ended. Choose a later end first."),
    "mailing_year_out_of_range": _l("Choose a year between 1970 and 9000."),
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
    """Return the text for an error in the current language; states among its values get their labels."""
    text = ERROR_TEXTS[error.code]
    values = {
        name: state_label(value) if isinstance(value, StrEnum) else value
        for name, value in error.values.items()
    }
    return str(text % values if values else text)
