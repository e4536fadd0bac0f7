"""Describe errors for programs: the status, and the fields that are at fault."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skymailing.errors import IllegalTransition, UserError
from skymailing.mailings.audience import UnknownPart
from skymailing.mailings.errors import InvalidMailing
from skymailing.quotas.checks import LimitReached
from skymailing.web.error_texts import explain

UNPROCESSABLE = 422
CONFLICT = 409
# Errors about the current state of an object rather than about the values in the request.
CONFLICTS = {
    *("mailing_transition_not_allowed", "mailing_not_startable", "mailing_not_paused"),
    *("mailing_window_over", "mailing_cancelled", "mailing_disabled", "mailing_has_runs"),
    *("mailing_no_recipients", "mailing_end_stops_run", "mailing_sent"),
    *("client_duplicate", "message_in_use", "message_changed", "tag_in_use", "tag_exists", "api_key_limit"),
    *("segment_in_use", "segment_changed", "topic_in_use", "topic_exists", "topic_left_by_client"),
    *("mailing_winner_chosen", "mailing_test_over", "letters_paused", "webhook_disabled"),
    *("mailing_caught_too_large", "mailing_caught_started", "mailing_being_planned"),
    *("sequence_archived", "sequence_no_steps", "sequence_trigger_missing", "sequence_not_started"),
    *("sequence_on_the_way", "sequence_entered_before", "sequence_unreachable"),
    *("sequence_not_on_the_way", "sequence_not_possible", "sequence_has_history"),
    *("sequence_step_limit", "sequence_last_step"),
}
MISSING = {
    *("mailing_deleted", "message_deleted", "client_deleted", "tag_deleted", "segment_deleted"),
    *("topic_deleted", "mailing_variant_unknown", "webhook_deleted", "sequence_deleted"),
    "sequence_step_removed",
}
# The field at fault, by the code of a service's error.
POINTERS = {
    "client_duplicate": "/email",
    "client_name_too_long": "/full_name",
    "client_comment_too_long": "/comment",
    "client_unknown_timezone": "/timezone",
    "client_attribute_too_long": "/attributes",
    "client_too_many_attributes": "/attributes",
    "client_attribute_unnamed": "/attributes",
    "client_attribute_twice": "/attributes",
    **dict.fromkeys(("tag_too_long", "client_too_many_tags", "tag_limit"), "/tags"),
    **dict.fromkeys(("tag_exists", "tag_nameless", "topic_exists"), "/name"),
}
OF_VARIANT = re.compile(r"(subject|sender_name|message)_([bcd])")
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Request too large",
    415: "Unsupported media type",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    503: "Service unavailable",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one value: a JSON pointer into the body (RFC 6901), a code, and a text.

    For a query parameter, its name replaces the pointer.
    """

    pointer: str
    code: str
    detail: str
    parameter: str = ""

    def to_json(self) -> dict[str, str]:
        place = {"parameter": self.parameter} if self.parameter else {"pointer": self.pointer}
        return place | {"code": self.code, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Problem:
    """The response to a request that failed (RFC 9457)."""

    status: int
    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {
            "type": f"/api/#status-{self.status}",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "errors": [error.to_json() for error in self.errors],
        }


OWN_ERRORS = "api_"  # the prefix of the names of their texts


class ApiError(UserError):
    """A request refused by the API itself, not by a service; its text is named `api_<code>`."""

    def __init__(
        self, status: int, code: str, headers: Mapping[str, str] | None = None, **values: object
    ) -> None:
        super().__init__(OWN_ERRORS + code, **values)
        self.status = status
        self.public_code = code
        self.headers = dict(headers or {})


class InvalidFields(UserError):
    """Some values of a request do not fit its schema."""

    public_code = "invalid"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("api_invalid")
        self.errors = errors


class InvalidField(UserError):
    """A service's error about one value in the body, or about a query parameter."""

    def __init__(self, pointer: str, error: UserError, parameter: str = "") -> None:
        super().__init__(error.code, **error.values)
        self.pointer, self.parameter = pointer, parameter


def describe(error: UserError | IllegalTransition) -> Problem:
    """Return the problem to report for an error, in the current language."""
    if isinstance(error, IllegalTransition):
        return Problem(CONFLICT, "state_not_allowed", str(error))
    text = explain(error)
    if isinstance(error, ApiError):
        return Problem(error.status, error.public_code, text, headers=error.headers)
    if isinstance(error, InvalidFields):
        return Problem(UNPROCESSABLE, error.public_code, text, error.errors)
    if isinstance(error, InvalidMailing):
        errors = [
            FieldError(point_to_value(name, field_error), field_error.code, explain(field_error))
            for name, field_error in error.errors.items()
        ]
        return Problem(UNPROCESSABLE, error.code, text, errors)
    return Problem(status_of(error), error.code, text, list(fields_of(error)))


def status_of(error: UserError) -> int:
    if error.code in MISSING:
        return 404
    return CONFLICT if error.code in CONFLICTS or isinstance(error, LimitReached) else UNPROCESSABLE


def fields_of(error: UserError) -> list[FieldError]:
    """Return the field at fault in a service's error, if there is one."""
    if isinstance(error, InvalidField):
        return [FieldError(error.pointer, error.code, explain(error), error.parameter)]
    pointer = POINTERS.get(error.code, "")
    if not pointer and error.code.startswith("address_"):
        pointer = "/email"
    return [FieldError(pointer, error.code, explain(error))] if pointer else []


def point_to_value(name: str, error: UserError) -> str:
    """Return the pointer to a field of MailingValues; fields of variants have names such as subject_b."""
    found = OF_VARIANT.fullmatch(name)
    if not found:
        return f"/{name}/{error.position}" if isinstance(error, UnknownPart) else f"/{name}"
    field = "message_id" if found[1] == "message" else found[1]
    return f"/variants/{'bcd'.index(found[2])}/{field}"
