"""Define the texts for error codes of sequences; `error_texts` includes them."""

from typing import Any

from flask_babel import lazy_gettext as _l

SEQUENCE_ERROR_TEXTS: dict[str, Any] = {
    "sequence_nameless": _l("Enter a name."),
    "sequence_limit": _l("You can have up to %(limit)s sequences. Archive those that you no longer need."),
    "sequence_offset_invalid": _l("Enter a number of days, up to %(limit)s."),
    "sequence_reentry_invalid": _l("Enter a number of days, 1 or more."),
    "sequence_hours_invalid": _l("Enter two different times."),
    "sequence_target_missing": _l("Not found. It may have been deleted. Choose again."),
    "sequence_other_trigger": _l("This is available only in sequences with the trigger “%(trigger)s”."),
    "sequence_wait_invalid": _l("Enter a number from 0 to %(limit)s."),
    "sequence_step_limit": _l("A sequence can have up to %(limit)s emails."),
    "sequence_step_removed": _l("This email has been removed from the sequence."),
    "sequence_step_changed": _l(
        "Not saved: this email was changed in another window. Save again to overwrite that version."
    ),
    "sequence_last_step": _l("This is the only email in the sequence. Archive the sequence instead."),
    "sequence_no_steps": _l("Add an email first."),
    "sequence_trigger_missing": _l("Choose what starts the sequence."),
    "sequence_deleted": _l("This sequence has been deleted."),
    "sequence_changed": _l("This sequence was changed in another window. Check your changes and save again."),
    "sequence_archived": _l("This sequence is archived and can no longer be changed."),
    "sequence_has_history": _l("This sequence has had clients. Archive it instead of deleting it."),
    "sequence_not_possible": _l("The sequence’s current state does not allow this."),
    "sequence_not_started": _l("Start the sequence first."),
    "sequence_on_the_way": _l("This client is already in the sequence."),
    "sequence_entered_before": _l("This client has been in the sequence before."),
    "sequence_unreachable": _l("This client has unsubscribed or cannot get emails for another reason."),
    "sequence_not_on_the_way": _l("This client is no longer in the sequence."),
    "sequence_unknowns_too_old": _l("These emails are too old to be sent again."),
    "sequence_client_missing": _l("This client does not exist."),
    "sequence_message_missing": _l("Choose an email."),
}
