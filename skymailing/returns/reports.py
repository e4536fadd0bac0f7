"""Define the reports in a returned letter, independent of its format."""

from dataclasses import dataclass
from enum import StrEnum

from skymailing.models.probe import ProbeArrival

ADDRESS_LENGTH = 320
STATUS_LENGTH = 16
DIAGNOSTIC_LENGTH = 1000
HOST_LENGTH = 255


class Kind(StrEnum):
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    # The client wants no more letters.
    UNSUBSCRIBE = "unsubscribe"
    # A vacation message or another automatic reply.
    AUTO_REPLY = "auto_reply"
    # The mail server is still trying.
    DELAYED = "delayed"
    # Nothing went wrong: delivered, forwarded, or no longer marked as spam.
    NOTICE = "notice"
    # A test letter that we sent to ourselves.
    PROBE = "probe"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Quoted:
    """Headers of our letter that the report quotes; others are empty.

    `return_token` is the token of its return path, to which the report was sent.
    """

    message_id: str = ""
    list_unsubscribe: str = ""
    feedback_id: str = ""
    return_token: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A returned letter's report about one recipient; unknown values are empty.

    `recipient` is the address as the server wrote it, `action` and `status` are defined by RFC 3464, and
    `diagnostic` is the server's reply or the sentences that describe the failure. For a test letter, only
    `quoted`, `token` and `arrival` are set.
    """

    kind: Kind
    recipient: str = ""
    action: str = ""
    status: str = ""
    diagnostic: str = ""
    remote_mta: str = ""
    quoted: Quoted = Quoted()
    token: str = ""
    arrival: ProbeArrival | None = None
