"""Define the fields of clients that conditions can check, their operators, and the operators' values."""

import math
import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from skymailing.db.engine import LARGEST_ID
from skymailing.errors import UserError
from skymailing.models import AttributeType, SuppressionReason

TEXT_MAX_LENGTH = 500
MAX_LISTED = 200  # values of one `in`
MAX_DAYS = 36_500
MAX_MAILINGS = 1000
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
ATTRIBUTE_PREFIX = "attribute."
ATTRIBUTE_KEY = re.compile(r"\w{1,100}")


class InvalidConditions(UserError):
    """Conditions that cannot be evaluated; `values` contains details such as the field and the limit."""


class Kind(StrEnum):
    """The kind of value that a field holds; it determines the operators."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"
    TAG = "tag"
    FORM = "form"
    TOPIC = "topic"
    MAILING = "mailing"
    STATE = "state"
    PURCHASE = "purchase"
    ACTIVITY = "activity"


class State(StrEnum):
    """The state that decides whether a client may get letters."""

    MAILABLE = "mailable"
    SUPPRESSED = "suppressed"  # for any reason
    UNSUBSCRIBED = SuppressionReason.UNSUBSCRIBED.value
    BOUNCED = SuppressionReason.BOUNCED.value
    COMPLAINED = SuppressionReason.COMPLAINED.value


class Activity(StrEnum):
    """How a client reacts to letters; see `activity.py`."""

    ACTIVE = "active"
    QUIET = "quiet"
    NEW = "new"


FIELDS: dict[str, Kind] = {
    "email": Kind.TEXT,
    "domain": Kind.TEXT,
    "full_name": Kind.TEXT,
    "comment": Kind.TEXT,
    "timezone": Kind.TEXT,
    "added_at": Kind.DATE,
    "tag": Kind.TAG,
    "form": Kind.FORM,
    "topic": Kind.TOPIC,
    "mailing": Kind.MAILING,
    "state": Kind.STATE,
    "purchase": Kind.PURCHASE,
    "activity": Kind.ACTIVITY,
}


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidConditions("segment_text_expected")
    text = UNSTORABLE.sub("", value).strip()
    if not text:
        raise InvalidConditions("segment_value_missing")
    if len(text) > TEXT_MAX_LENGTH:
        raise InvalidConditions("segment_text_too_long", limit=TEXT_MAX_LENGTH)
    return text


def read_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidConditions("segment_list_expected")
    texts = tuple(dict.fromkeys(map(read_text, value)))
    if not texts:
        raise InvalidConditions("segment_value_missing")
    if len(texts) > MAX_LISTED:
        raise InvalidConditions("segment_list_too_long", limit=MAX_LISTED)
    return texts


def read_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidConditions("segment_number_expected")
    try:
        number = float(value)
    except OverflowError as error:
        raise InvalidConditions("segment_number_expected") from error
    if not math.isfinite(number):
        raise InvalidConditions("segment_number_expected")
    return number


def read_date(value: Any) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise InvalidConditions("segment_date_expected")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise InvalidConditions("segment_date_expected") from error


def read_days(value: Any) -> int:
    return _read_integer(value, MAX_DAYS, "segment_days_expected", minimum=0)


def read_past_days(value: Any) -> int:
    return _read_integer(value, MAX_DAYS, "segment_days_expected")


def _read_integer(value: Any, maximum: int, code: str, minimum: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise InvalidConditions(code, limit=maximum)
    return value


def read_range(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
    """Return a function that reads [low, high]."""

    def read_both(value: Any) -> tuple[Any, Any]:
        if not isinstance(value, list) or len(value) != 2:
            raise InvalidConditions("segment_range_expected")
        low, high = read(value[0]), read(value[1])
        if low > high:
            raise InvalidConditions("segment_range_reversed")
        return low, high

    return read_both


def read_yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidConditions("segment_value_missing")
    return value


def read_state(value: Any) -> State:
    if not isinstance(value, str) or value not in set(State):
        raise InvalidConditions("segment_state_unknown")
    return State(value)


def read_activity(value: Any) -> Activity:
    if not isinstance(value, str) or value not in set(Activity):
        raise InvalidConditions("segment_activity_unknown")
    return Activity(value)


def read_form(value: Any) -> str:
    """Return the UUID of a sign-up form."""
    try:
        return str(UUID(value))
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidConditions("segment_form_expected") from error


def read_mailings(value: Any) -> int | tuple[str, int]:
    """Return the ID of a mailing, or ("last", n) for the last n mailings, or ("days", n)."""
    if isinstance(value, dict):
        if value.keys() == {"last"}:
            return "last", _read_integer(value["last"], MAX_MAILINGS, "segment_mailing_expected")
        if value.keys() == {"days"}:
            return "days", _read_integer(value["days"], MAX_DAYS, "segment_days_expected")
        raise InvalidConditions("segment_mailing_expected")
    return _read_integer(value, LARGEST_ID, "segment_mailing_expected")


def read_nothing(_value: Any) -> None:
    """Ignore the value of an operator that has none."""


ValueReader = Callable[[Any], Any]
IS_SET: dict[str, ValueReader] = {"is_set": read_nothing, "is_empty": read_nothing}
OPERATORS: dict[Kind, dict[str, ValueReader]] = {
    Kind.TEXT: {
        **dict.fromkeys(("equals", "not_equals", "contains", "not_contains", "starts_with"), read_text),
        "in": read_texts,
        **IS_SET,
    },
    Kind.NUMBER: {
        **dict.fromkeys(("equals", "not_equals", "gt", "gte", "lt", "lte"), read_number),
        "between": read_range(read_number),
        **IS_SET,
    },
    Kind.DATE: {
        **dict.fromkeys(("on", "before", "after"), read_date),
        "between": read_range(read_date),
        **dict.fromkeys(
            ("within_days", "older_than_days", "in_next_days", "anniversary_within_days"), read_days
        ),
        **IS_SET,
    },
    Kind.YES_NO: {"is": read_yes_no, **IS_SET},
    Kind.TAG: {"is": read_text, "is_not": read_text},
    Kind.FORM: {"is": read_form, "is_not": read_form},
    Kind.TOPIC: {"is": read_text, "is_not": read_text},
    Kind.MAILING: dict.fromkeys(
        ("received", "not_received", "clicked", "not_clicked", "bounced", "not_bounced"), read_mailings
    ),
    Kind.STATE: {"is": read_state, "is_not": read_state},
    Kind.PURCHASE: {"bought": read_past_days, "not_bought": read_past_days},
    Kind.ACTIVITY: {"is": read_activity, "is_not": read_activity},
}
# The operators that negate another one: they also hold if a value is missing or does not fit.
NEGATIONS = {
    "not_equals": "equals",
    "not_contains": "contains",
    "is_not": "is",
    "is_empty": "is_set",
    "not_received": "received",
    "not_clicked": "clicked",
    "not_bounced": "bounced",
    "not_bought": "bought",
}


def find_kind(field: str, types: dict[str, AttributeType] | Any) -> Kind:
    """Return the kind of a field, which the owner chooses for an attribute; raises InvalidConditions."""
    if field in FIELDS:
        return FIELDS[field]
    key = field.removeprefix(ATTRIBUTE_PREFIX)
    if key == field or not ATTRIBUTE_KEY.fullmatch(key):
        raise InvalidConditions("segment_field_unknown", field=UNSTORABLE.sub("", field[:100]))
    return Kind(types.get(key, AttributeType.TEXT).value)
