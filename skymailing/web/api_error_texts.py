"""Define the texts of the errors that only the API reports; `error_texts` includes them."""

from typing import Any

from flask_babel import lazy_gettext as _l

API_ERROR_TEXTS: dict[str, Any] = {
    "api_key_limit": _l("You can have up to %(limit)s API keys. Revoke some that you do not need."),
    "api_key_missing": _l("Send an API key in the header “Authorization: Bearer …”."),
    "api_key_invalid": _l("This API key does not work. It may be revoked or expired."),
    "api_key_in_url": _l(
        "Do not send an API key in the URL, which logs may store. Revoke this key and create a new one."
    ),
    "api_scope_missing": _l("This API key lacks the scope %(scope)s."),
    "api_test_key_cannot_send": _l("A test key can only start mailings that a test key has set up."),
    "api_test_key": _l("A test key reads everything, but changes only its own tests. Use a live key."),
    "api_not_found": _l("There is nothing at this address."),
    "api_method_not_allowed": _l("This address does not support this method."),
    "api_bad_request": _l("The request is malformed."),
    "api_too_large": _l("The request is too large."),
    "api_not_json": _l("Send the body as JSON, with the header “Content-Type: application/json”."),
    "api_not_a_file": _l("Send the file as the body, with its type, or as the part “file” of a form."),
    "api_json_invalid": _l("The body is not valid JSON in UTF-8."),
    "api_json_duplicate": _l("An object in the body has the same key twice."),
    "api_json_constant": _l("NaN and Infinity are not valid in JSON."),
    "api_json_nul": _l("Texts cannot contain the NUL character."),
    "api_json_too_deep": _l("The body is nested more than %(limit)s levels deep."),
    "api_invalid": _l("Some values are not valid."),
    "api_cursor_invalid": _l("This cursor is not valid. Use the one in the “next” link."),
    "api_rate_limit": _l("Too many requests. Try again in %(seconds)s seconds."),
    "api_busy": _l("Your other requests are still being processed. Try again in a few seconds."),
    "api_changed": _l("This has changed since you read it. Read it again."),
    "api_internal": _l("Something went wrong on our side. The error has been logged."),
    "api_unavailable": _l("The service is busy. Try again in a few seconds."),
    "api_idempotency_key_invalid": _l("An Idempotency-Key has 1 to 255 printable ASCII characters."),
    "api_idempotency_key_reused": _l("This Idempotency-Key was used for another request."),
    "api_idempotency_running": _l("The first request with this Idempotency-Key is still being processed."),
    "api_suppression_not_manual": _l("Only suppressions that you have made yourself can be lifted."),
    "purchase_in_future": _l("This time is in the future."),
    "purchase_currency": _l("There is no such currency."),
    "purchase_amount": _l("The amount is too large, or has more decimals than the currency."),
    "purchase_client_missing": _l("Name the client by either client_id or email."),
    "purchase_client_unknown": _l("There is no such client."),
    "import_unknown_encoding": _l("There is no such encoding."),
    "api_letter_limit": _l("You can send up to %(limit)s emails for now. Try again later."),
    "letter_has_list_links": _l("Transactional emails have no unsubscribe or browser links: %(names)s."),
    "letters_paused": _l("Transactional emails are paused. See “Transactional emails” on the site."),
    "letter_content": _l("Send either message_id, or subject and body."),
    "letter_sender": _l("There is no such sender, or it cannot be used yet."),
    "letter_value_reserved": _l("The service itself fills in this value."),
    "letter_values_too_large": _l("The values have more than %(limit)s characters."),
    "letter_value_missing": _l("The email uses this value, but it is missing or empty."),
    "client_attribute_twice": _l("Two names of attributes differ only in capital letters or spaces."),
    "client_attribute_unnamed": _l("The name of an attribute needs a letter or a digit."),
    "mailing_caught_too_large": _l("A mailing set up with a test key can have up to %(limit)s clients."),
    "mailing_caught_limit": _l(
        "Test keys can keep up to %(limit)s mailings. Delete some, or wait a few days."
    ),
    "mailing_being_planned": _l("The mailing is being prepared. Try again in a few seconds."),
    "mailing_caught_started": _l(
        "This mailing was set up with a test key and has started, so it cannot be changed."
    ),
    "mailing_other_audience": _l("Only for the audience “%(audience)s”."),
    "mailing_not_this_audience": _l("Not for the audience “%(audience)s”."),
    "mailing_part_unnamed": _l("Write “tag:<name>” or “segment:<id>”."),
    "mailing_sent": _l("This mailing has already been sent, so this field cannot change."),
}
