"""Define mailing errors; their texts are in web/error_texts.py."""

from collections.abc import Mapping

from skymailing.errors import UserError
from skymailing.models import StateReason

# Reasons why a sender cannot be used; see `delivery/senders.py`.
SENDER_PROBLEMS = {
    StateReason.SENDER_UNUSABLE: "mailing_sender_unconfirmed",
    StateReason.SERVER_UNUSABLE: "mailing_server_failed",
}


class MailingError(UserError):
    """The request does not fit the mailing's state or values."""


class InvalidMailing(MailingError):
    """Some values of a mailing are not valid; `errors` maps fields of MailingValues to errors."""

    def __init__(self, errors: Mapping[str, MailingError]) -> None:
        super().__init__("mailing_invalid")
        self.errors = errors


class DuplicateSubmission(MailingError):
    """The same form was submitted before; `mailing_id` is the mailing that it created."""

    def __init__(self, mailing_id: int) -> None:
        super().__init__("mailing_duplicate")
        self.mailing_id = mailing_id
