"""Define the text of every `UserError` by its code; texts are translated when they are shown."""

from enum import StrEnum
from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.errors import UserError
from skymailing.web.account_error_texts import ACCOUNT_ERROR_TEXTS
from skymailing.web.api_error_texts import API_ERROR_TEXTS
from skymailing.web.design_error_texts import DESIGN_ERROR_TEXTS
from skymailing.web.editor_error_texts import EDITOR_ERROR_TEXTS
from skymailing.web.file_error_texts import FILE_ERROR_TEXTS
from skymailing.web.labels import state_label
from skymailing.web.segment_error_texts import SEGMENT_ERROR_TEXTS
from skymailing.web.sequence_error_texts import SEQUENCE_ERROR_TEXTS
from skymailing.web.webhook_error_texts import WEBHOOK_ERROR_TEXTS

# <feature>_<problem>; programs rely on the codes, so the meaning of a code never changes.
ERROR_TEXTS: dict[str, Any] = {
    **ACCOUNT_ERROR_TEXTS,
    **SEGMENT_ERROR_TEXTS,
    **SEQUENCE_ERROR_TEXTS,
    **API_ERROR_TEXTS,
    **DESIGN_ERROR_TEXTS,
    **FILE_ERROR_TEXTS,
    **WEBHOOK_ERROR_TEXTS,
    **EDITOR_ERROR_TEXTS,
    #
    # --- archive ------------------------------------------------------------------------------
    "letter_gone": _l("This email is no longer available."),
    "letter_hidden": _l("The link may be incomplete. Open it again from the email."),
    "archive_address_format": _l("Use lowercase Latin letters, digits and single hyphens."),
    "archive_address_taken": _l("This address is already taken. Choose another one."),
    "archive_disabled": _l("A manager has disabled this mailing, so it cannot be published."),
    "archive_limit": _l("You can publish up to %(limit)s emails. Remove some from your archive first."),
    "archive_no_text": _l("The text of this send has been removed, so it cannot be published."),
    "archive_too_long": _l("This email is too long to publish. It may contain embedded images."),
    "archive_not_sent": _l("This send was skipped: nothing was sent."),
    "archive_testing": _l("The A/B test is not decided yet. You can publish the winner afterwards."),
    #
    # --- all pages ----------------------------------------------------------------------------
    "page_too_slow": _l("This took too long. Use fewer or simpler conditions, or try again later."),
    #
    # --- clients ------------------------------------------------------------------------------
    "clients_too_many_to_sort": _l(
        "This column can sort lists of up to %(limit)s clients. Narrow the list with a filter to sort it."
    ),
    "address_empty": _l("The email address is missing."),
    "address_no_at_sign": _l("An email address has an @ sign, as in name@example.com."),
    "address_several_at_signs": _l("Enter one address only: there is more than one @ sign."),
    "address_space": _l("An email address cannot contain spaces."),
    "address_control_character": _l("The email address contains a line break or an invisible character."),
    "address_too_long": _l("The email address is too long."),
    "address_local_part": _l("The part before the @ sign is not valid."),
    "address_local_part_not_latin": _l("Use only Latin letters, digits and symbols before the @ sign."),
    "address_mixed_alphabets": _l(
        "The part before the @ sign mixes letters that look alike in different alphabets. Type it again."
    ),
    "address_domain": _l("The part after the @ sign is not a valid domain name."),
    "address_domain_without_dot": _l(
        "The address is incomplete: after the @ sign, an ending such as .com is missing."
    ),
    "address_reserved_domain": _l("The domain after the @ sign is reserved and cannot receive email."),
    "client_duplicate": _l("You already have a client with this address."),
    "client_gone": _l("The client has just been deleted."),
    "distinct_limit": _l("You can hide up to %(limit)s groups of clients."),
    "client_limit": _l("You can have up to %(limit)s clients."),
    "client_name_too_long": _l("The name is longer than 200 characters."),
    "client_comment_too_long": _l("The comment is longer than 10,000 characters."),
    "client_value_changed": _l("Changed in another window to “%(value)s”. Save again to replace it."),
    "client_value_removed": _l("This value was removed in another window. Add it again if you need it."),
    "client_value_unreadable": _l("The value has only invisible characters."),
    "client_value_missing": _l("Enter a value."),
    "client_field_unknown": _l("Clients have no such field."),
    "client_field_unnamed": _l("The name needs a letter or a digit."),
    "client_field_taken": _l("This client already has the field “%(name)s”."),
    "client_attribute_too_long": _l("The value is longer than 2,000 characters."),
    "client_unknown_timezone": _l("There is no such time zone. Write it like Europe/Berlin or UTC+3."),
    "client_too_many_attributes": _l("A client can have up to 100 custom fields."),
    "import_no_address_column": _l(
        "No column with email addresses found. The first row must name the columns, one of them “email” "
        "or “почта”. It has: %(found)s."
    ),
    "import_workbook": _l("This is a workbook, not a CSV file. Open it, choose “Save as”, then “CSV”."),
    "import_workbook_unreadable": _l(
        "This file cannot be read. It may be damaged. Save it as CSV and try again."
    ),
    "import_workbook_protected": _l("This workbook is protected with a password. Remove the password first."),
    "import_workbook_too_large": _l("This file takes up too much memory. Save it as CSV and try again."),
    "import_workbooks_busy": _l("Other workbooks are being read. Try again in a minute."),
    "import_archive_empty": _l("The archive contains no CSV file."),
    "import_empty": _l("The file is empty."),
    "import_too_many_columns": _l("The file has more than %(limit)s columns."),
    "import_too_many_rows": _l("The file has more than 1,000,000 rows. Split it into several files."),
    "import_no_address_chosen": _l("Choose the column with the email addresses."),
    "import_unknown_column": _l("The file has no column “%(name)s”."),
    "import_unknown_field": _l("“%(name)s” cannot be the name of a custom field."),
    "import_field_twice": _l("Two columns have the same meaning. Choose another for one of them."),
    "import_limit": _l("You can import up to %(limit)s files per day. Try again later."),
    "import_limit_unfinished": _l("Wait until your other imports have finished."),
    "import_interrupted": _l("The command was interrupted. Run it again; no client is added twice."),
    "import_internal_error": _l("Something went wrong on our side. The error has been logged."),
    "row_open_quote": _l("A quotation mark is not closed, or one inside the text is not doubled."),
    "row_line_too_long": _l("The row is too long."),
    "row_unreadable": _l("The row has characters that the file's encoding does not allow."),
    "row_unknown_status": _l("The status is not recognized, so this person may have opted out."),
    "row_tag_too_long": _l("The name of a tag is longer than 100 characters."),
    "row_too_many_tags": _l("The row has more than 100 tags."),
    "row_tag_limit": _l("With this row's tags, you would have more than 1,000 tags."),
    "row_too_many_cells": _l(
        "The row has more cells than there are columns. Put text with commas in quotation marks."
    ),
    #
    # --- mailings -----------------------------------------------------------------------------
    "mailing_cancelled": _l("This mailing was cancelled, so it cannot be changed."),
    "mailing_clients_missing": _l("Choose at least one client, or send to all clients."),
    "mailing_clients_unknown": _l("One of the clients does not exist or has been deleted."),
    "mailing_clients_too_complex": _l(
        "This selection is too complex. Clear it, then select clients with fewer searches."
    ),
    "mailing_clients_unreadable": _l("One of the clients does not exist."),
    "mailing_deleted": _l("This mailing has been deleted."),
    "mailing_disabled": _l("A manager has disabled this mailing: %(reason)s"),
    "mailing_duplicate": _l("This mailing has already been created."),
    "mailing_end_before_start": _l("The end must be after the start."),
    "mailing_end_missing": _l("Choose when sending ends."),
    "mailing_part_unknown": _l("The segment or tag “%(name)s” does not exist or has been deleted."),
    "mailing_part_deleted": _l(
        "A segment or tag of this mailing has been deleted, so it cannot be restored."
    ),
    "mailing_too_many_parts": _l("Choose up to %(limit)s segments and tags."),
    "mailing_start_past": _l("This time has passed."),
    "mailing_end_past": _l("The end must be in the future, because the mailing starts right away."),
    "mailing_end_stops_run": _l(
        "Emails are being sent, so the end must be in the future. To stop sending, cancel the mailing."
    ),
    "mailing_has_runs": _l("This mailing has already been sent, so it cannot be deleted."),
    "mailing_hours_empty": _l(
        "The end time must differ from the start time. To send all day, leave both empty."
    ),
    "mailing_hours_incomplete": _l("Fill in both times, or leave both empty."),
    "mailing_invalid": _l("Some values are not valid."),
    "mailing_message_deleted": _l("The mailing cannot be restored, because its message has been deleted."),
    "mailing_topic_unknown": _l("This topic has been deleted. Choose another one."),
    "mailing_topic_deleted": _l("The mailing cannot be restored, because its topic has been deleted."),
    "mailing_message_missing": _l("Choose a message."),
    "mailing_message_condition": _l(
        "This message has a condition on a tag or segment that does not exist. Edit the message first."
    ),
    "mailing_message_unknown": _l("This message does not exist. Choose another."),
    "mailing_limit": _l("You can have up to %(limit)s mailings."),
    "mailing_name_missing": _l("Enter a name."),
    "mailing_number_outside": _l("Enter a number from %(least)s to %(most)s."),
    "mailing_subject_broken": _l("The placeholders of the subject cannot be read: %(problem)s"),
    "mailing_test_needs_clicks": _l(
        "Turn on “Count clicks” under Statistics, or choose the winner yourself."
    ),
    "mailing_test_over": _l("The test is over: no emails are waiting for its winner."),
    "mailing_variant_same": _l("This is the same email as variant %(variant)s. Change something."),
    "mailing_variant_unknown": _l("This variant does not exist."),
    "mailing_winner_chosen": _l(
        "The winner has already been chosen: the other clients get variant %(variant)s."
    ),
    "mailing_no_recipients": _l("This mailing has no clients. Add clients first."),
    "mailing_no_run_to_resend": _l("There is no send to repeat."),
    "mailing_not_paused": _l("Only a paused mailing can be resumed."),
    "mailing_not_startable": _l("Only a draft or a scheduled mailing can be started."),
    "mailing_no_follow_up": _l("It is not known who has not clicked in this mailing."),
    "mailing_run_details_removed": _l(
        "The details of the last send were removed, so its emails cannot be sent again."
    ),
    "mailing_local_time_test": _l(
        "An A/B test is not possible at local time. Turn off the test or the time zones."
    ),
    "mailing_repeat_every": _l("Enter a number from 1 to %(limit)s."),
    "mailing_sender_deleted": _l("The mailing cannot be restored, because its sender has been deleted."),
    "mailing_sender_unknown": _l("This sender does not exist. Choose another."),
    "mailing_sender_unconfirmed": _l(
        "This address is not confirmed. Open the link in the email sent to it, or choose another sender."
    ),
    "mailing_server_failed": _l(
        "The mail server of this sender does not work. Test its connection, or choose another sender."
    ),
    "mailing_text_not_one_line": _l("Use one line without line breaks or control characters."),
    "mailing_text_too_long": _l("Use at most %(limit)s characters."),
    "mailing_transition_not_allowed": _l("This is not possible while the mailing is %(old)s."),
    "mailing_weekdays_unknown": _l("Choose days from 1 (Monday) to 7 (Sunday)."),
    "mailing_window_over": _l("This mailing has ended. Choose a later end date first."),
    "mailing_year_out_of_range": _l("Choose a year between 1970 and 9000."),
    #
    # --- sign-up forms ------------------------------------------------------------------------
    "form_limit": _l("You can have up to %(limit)s sign-up forms. Delete those that you no longer need."),
    "form_deleted": _l("This sign-up form has been deleted."),
    "form_sender_unknown": _l("This sender does not exist."),
    "form_network_limit": _l("Too many requests from your network. Please try again in an hour."),
    "form_mail_domain": _l("The domain %(domain)s does not accept email. Please check the address."),
    "signup_gone": _l("The request was already confirmed, or its form has been closed or deleted."),
    #
    # --- senders ------------------------------------------------------------------------------
    "sender_limit": _l("You can have up to %(limit)s senders. Delete those that you no longer need."),
    "sender_exists": _l("You already have a sender with this address."),
    "sender_deleted": _l("This sender has been deleted."),
    "sender_in_use": _l("This sender is used in mailings, so it cannot be deleted: %(names)s."),
    "sender_freemail": _l(
        "If we send emails from %(domain)s, they will be rejected or marked as spam. Choose a mail server of "
        "%(domain)s, or use an address of your own domain and enter this one for replies."
    ),
    "sender_letter_limit": _l("You can send up to %(limit)s confirmation links per day. Try again tomorrow."),
    "sender_address_letter_limit": _l(
        "Up to %(limit)s confirmation links per day are sent to an address. Try again tomorrow."
    ),
    "sender_server_unknown": _l("This mail server does not exist. Choose another."),
    "sender_server_failed": _l("This mail server does not work yet. Test its connection, or choose another."),
    "sender_international": _l(
        "Your mail server may not accept this address: it has non-Latin letters before the @."
    ),
    #
    # --- mail servers -------------------------------------------------------------------------
    "server_limit": _l("You can have up to %(limit)s mail servers. Delete those that you no longer need."),
    "server_test_limit": _l("Mail servers can be tested up to %(limit)s times per hour. Try again later."),
    "server_host_invalid": _l("Enter a host name, for example smtp.example.com."),
    "server_port_not_allowed": _l("Choose one of the ports."),
    "server_username_missing": _l("Enter the user name."),
    "server_password_missing": _l("Enter the password."),
    "server_password_again": _l("The server or user name has changed, so please enter the password again."),
    "server_in_use": _l("Senders use this mail server: %(addresses)s. Choose another one for them first."),
    "server_in_run": _l(
        "A mailing is being sent through this server. Wait until the mailing has ended, or cancel it."
    ),
    "server_deleted": _l("This mail server has been deleted."),
    #
    # --- domains ------------------------------------------------------------------------------
    "domain_limit": _l("You can have up to %(limit)s domains. Delete those that you no longer need."),
    "domain_exists": _l("You have already added this domain."),
    "domain_deleted": _l("This domain has been deleted."),
    "domain_freemail": _l("%(domain)s belongs to a mail provider. Add a domain of your own."),
    "domain_unverified": _l("Create the DNS records first, then check again."),
    "domain_probe_no_mailbox": _l("This service has no mailbox for test emails. Ask its administrator."),
    "domain_probe_too_soon": _l("You can send a test email every %(minutes)s minutes. Try again later."),
    "domain_key_waiting": _l("Create the DNS record for the new key first."),
    "domain_keys_too_many": _l("The key was replaced a few days ago. Try again in a week."),
    #
    # --- messages -----------------------------------------------------------------------------
    "message_limit": _l("You can have up to %(limit)s messages. Delete those that you no longer need."),
    "message_in_use": _l("This message is used in mailings, so it cannot be deleted: %(names)s."),
    "message_changed": _l("This message has been saved in another window."),
    "message_draft_elsewhere": _l("This message is being edited in another window."),
    "message_newer_draft": _l("This message has a newer draft, which was kept."),
    "message_too_many_drafts": _l("You have too many drafts. Discard some of them."),
    "message_too_many_pictures": _l(
        "There is no space for more images. Unused ones are deleted after two days."
    ),
    "message_deleted": _l("This message has been deleted."),
    "client_deleted": _l("This client has been deleted."),
    "letter_sender_unusable": _l("This sender cannot be used at the moment."),
    "letter_server_changed": _l("The sender uses another mail server now. Send the test email again."),
    "letter_failed": _l("Something went wrong on our side. The error has been logged."),
    #
    # --- reports ------------------------------------------------------------------------------
    "report_period_too_long": _l("Choose a period of up to %(days)d days."),
    "report_period_reversed": _l("The end of the period is before its beginning."),
    "report_period_out_of_range": _l("Choose a year between 1970 and 9000."),
    #
    # --- pictures -----------------------------------------------------------------------------
    "picture_file_too_large": _l("This image is larger than %(size)s MB. Choose a smaller file."),
    "picture_unreadable": _l("This file cannot be read as an image. Choose a JPEG, PNG or WebP file."),
    "picture_too_small": _l("This image is too small to be seen."),
    "picture_busy": _l("Other images are being processed. Try again in a few seconds."),
    "picture_too_many_pixels": _l("This image has more than %(count)s million pixels. Choose a smaller one."),
    #
    # --- times --------------------------------------------------------------------------------
    "time_unreadable": _l("Enter a date and a time, for example 2026-12-31T09:00."),
    "time_year_out_of_range": _l("Choose a year between %(first)s and %(last)s."),
    "time_skipped": _l("This time does not exist on that day: the clocks go forward. Choose another time."),
    #
    # --- undo ---------------------------------------------------------------------------------
    "undo_expired": _l("It is too late to undo this."),
}


def explain(error: UserError) -> str:
    """Return the text for an error, with the labels and texts of its values, in the current language."""
    text = ERROR_TEXTS[error.code]
    values = {name: _write_value(value) for name, value in error.values.items()}
    return str(text % values if values else text)


def explain_stored(text: str) -> str:
    """Return the text for a stored code, in the current language; other texts are returned unchanged."""
    return explain(UserError(text)) if text in ERROR_TEXTS else text


def _write_value(value: object) -> object:
    if isinstance(value, StrEnum):
        return state_label(value)
    return explain(value) if isinstance(value, UserError) else value
