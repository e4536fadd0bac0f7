"""The words for fields, comparisons and values in sentences and in the editor.

Conditions themselves are defined in `delivery/audience/fields.py`; a test compares both lists.
"""

from enum import StrEnum
from typing import NamedTuple

from flask_babel import lazy_gettext, lazy_pgettext
from flask_babel.speaklater import LazyString

from skymailing.clients.forms import ACTIVITY_LABELS, STATUS_LABELS
from skymailing.delivery.audience.fields import ATTRIBUTE_PREFIX, Activity, Kind, State


class Input(StrEnum):
    """The kind of input that the editor shows for the value of a comparison."""

    TEXT = "text"
    LIST = "list"
    NUMBER = "number"
    NUMBERS = "numbers"  # a range
    DATE = "date"
    DATES = "dates"
    DAYS = "days"
    YES_NO = "yes_no"
    TAG = "tag"
    FORM = "form"
    TOPIC = "topic"
    STATE = "state"
    ACTIVITY = "activity"
    MAILINGS = "mailings"
    NOTHING = "nothing"


class Comparison(NamedTuple):
    """An operator's name in the editor, and the input for its value."""

    label: LazyString
    input: Input


FIELD_NAMES: dict[str, LazyString] = {
    "email": lazy_gettext("Email address"),
    "domain": lazy_gettext("Email domain"),
    "full_name": lazy_gettext("Name"),
    "comment": lazy_gettext("Comment"),
    "timezone": lazy_gettext("Time zone"),
    "added_at": lazy_gettext("Date added"),
    "tag": lazy_gettext("Tag"),
    "form": lazy_gettext("Sign-up form"),
    "topic": lazy_gettext("Topic"),
    "mailing": lazy_gettext("Mailing"),
    "state": lazy_gettext("Client status"),
    "purchase": lazy_gettext("Purchase"),
    "activity": lazy_gettext("Activity"),
}
IS, IS_NOT = lazy_pgettext("comparison", "is"), lazy_pgettext("comparison", "is not")
IS_SET = {
    "is_set": Comparison(lazy_pgettext("comparison", "is filled in"), Input.NOTHING),
    "is_empty": Comparison(lazy_pgettext("comparison", "is empty"), Input.NOTHING),
}
# The comparisons in the editor's order; a new condition starts with the first one.
COMPARISONS: dict[Kind, dict[str, Comparison]] = {
    Kind.TEXT: {
        "equals": Comparison(IS, Input.TEXT),
        "in": Comparison(lazy_pgettext("comparison", "is one of"), Input.LIST),
        "not_equals": Comparison(IS_NOT, Input.TEXT),
        "contains": Comparison(lazy_pgettext("comparison", "contains"), Input.TEXT),
        "not_contains": Comparison(lazy_pgettext("comparison", "does not contain"), Input.TEXT),
        "starts_with": Comparison(lazy_pgettext("comparison", "starts with"), Input.TEXT),
        **IS_SET,
    },
    Kind.NUMBER: {
        "equals": Comparison(IS, Input.NUMBER),
        "not_equals": Comparison(IS_NOT, Input.NUMBER),
        "gt": Comparison(lazy_pgettext("comparison", "is more than"), Input.NUMBER),
        "gte": Comparison(lazy_pgettext("comparison", "is at least"), Input.NUMBER),
        "lt": Comparison(lazy_pgettext("comparison", "is less than"), Input.NUMBER),
        "lte": Comparison(lazy_pgettext("comparison", "is at most"), Input.NUMBER),
        "between": Comparison(lazy_pgettext("comparison", "is between"), Input.NUMBERS),
        **IS_SET,
    },
    Kind.DATE: {
        "within_days": Comparison(lazy_pgettext("comparison", "is within the last"), Input.DAYS),
        "older_than_days": Comparison(lazy_pgettext("comparison", "is longer ago than"), Input.DAYS),
        "in_next_days": Comparison(lazy_pgettext("comparison", "is within the next"), Input.DAYS),
        "anniversary_within_days": Comparison(
            lazy_pgettext("comparison", "comes up (any year) within the next"), Input.DAYS
        ),
        "on": Comparison(IS, Input.DATE),
        "before": Comparison(lazy_pgettext("comparison", "is before"), Input.DATE),
        "after": Comparison(lazy_pgettext("comparison", "is after"), Input.DATE),
        "between": Comparison(lazy_pgettext("comparison", "is between"), Input.DATES),
        **IS_SET,
    },
    Kind.YES_NO: {"is": Comparison(IS, Input.YES_NO), **IS_SET},
    Kind.TAG: {"is": Comparison(IS, Input.TAG), "is_not": Comparison(IS_NOT, Input.TAG)},
    Kind.FORM: {"is": Comparison(IS, Input.FORM), "is_not": Comparison(IS_NOT, Input.FORM)},
    Kind.TOPIC: {
        "is": Comparison(lazy_pgettext("comparison", "is received"), Input.TOPIC),
        "is_not": Comparison(lazy_pgettext("comparison", "is not received"), Input.TOPIC),
    },
    Kind.MAILING: {
        "received": Comparison(lazy_pgettext("comparison", "was received"), Input.MAILINGS),
        "not_received": Comparison(lazy_pgettext("comparison", "was not received"), Input.MAILINGS),
        "clicked": Comparison(lazy_pgettext("comparison", "was clicked"), Input.MAILINGS),
        "not_clicked": Comparison(lazy_pgettext("comparison", "was not clicked"), Input.MAILINGS),
        "bounced": Comparison(lazy_pgettext("comparison", "bounced"), Input.MAILINGS),
        "not_bounced": Comparison(lazy_pgettext("comparison", "did not bounce"), Input.MAILINGS),
    },
    Kind.STATE: {"is": Comparison(IS, Input.STATE), "is_not": Comparison(IS_NOT, Input.STATE)},
    Kind.PURCHASE: {
        "bought": Comparison(lazy_pgettext("comparison", "was made within the last"), Input.DAYS),
        "not_bought": Comparison(lazy_pgettext("comparison", "was not made within the last"), Input.DAYS),
    },
    Kind.ACTIVITY: {"is": Comparison(IS, Input.ACTIVITY), "is_not": Comparison(IS_NOT, Input.ACTIVITY)},
}


def name_field(field: str) -> str:
    """Return the name of a field; an attribute's key is turned into words, such as Last purchase."""
    if field in FIELD_NAMES:
        return str(FIELD_NAMES[field])
    name = field.removeprefix(ATTRIBUTE_PREFIX).replace("_", " ").strip() or field
    return name[:1].upper() + name[1:]


def name_state(state: State) -> str:
    """Return the label of a client's email status."""
    return str(STATUS_LABELS[state])


def name_activity(activity: Activity) -> str:
    """Return the label of a client's activity."""
    return str(ACTIVITY_LABELS[activity])
