"""Read a form's questions, and a visitor's answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask_babel import gettext as _

from skymailing.clients.cleaning import InvalidValue, clean_attribute, clean_name
from skymailing.clients.time_zones import find_timezone
from skymailing.email_addresses import InvalidEmail, address_key, parse_recipient
from skymailing.models import AttributeType, SignupForm
from skymailing.models.form import FORM_LINE_MAX_LENGTH
from skymailing.web.error_texts import explain

EMAIL = "email"
FULL_NAME = "full_name"
ATTRIBUTE_PREFIX = "attribute."
TRAP = "website"  # hidden from people; only bots fill it in
STAMP = "stamp"
PROOF = "proof"
TIMEZONE = "timezone"  # of the browser; not a question
TRACKING = "tracking"  # a check box that allows us to count opens
MAX_FIELDS = 20
LABEL_MAX_LENGTH = FORM_LINE_MAX_LENGTH


@dataclass(frozen=True, slots=True)
class FormField:
    """One question of a form: `full_name`, or `attribute.<key>` for a field of the client's data."""

    key: str
    label: str
    is_required: bool
    type: AttributeType = AttributeType.TEXT

    @property
    def attribute(self) -> str:
        """The key in the client's data; empty for the name."""
        return self.key.removeprefix(ATTRIBUTE_PREFIX) if self.key.startswith(ATTRIBUTE_PREFIX) else ""


@dataclass(slots=True)
class Entry:
    """A visitor's input: cleaned values by field, and errors by field."""

    raw: dict[str, str]
    email: str = ""
    allows_tracking: bool = False
    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def email_key(self) -> str:
        return address_key(self.email)


def list_fields(form: SignupForm) -> list[FormField]:
    """Return the questions of a form, in order."""
    types: Mapping[str, str] = form.owner.attribute_types
    fields = []
    for stored in form.fields:
        key = stored["key"]
        type_ = AttributeType(types.get(key.removeprefix(ATTRIBUTE_PREFIX), AttributeType.TEXT))
        fields.append(FormField(key, stored["label"], bool(stored["is_required"]), type_))
    return fields


def write_fields(fields: list[FormField]) -> list[dict[str, Any]]:
    """Return the questions as they are stored."""
    return [{"key": f.key, "label": f.label, "is_required": f.is_required} for f in fields]


def read_entry(form: SignupForm, submitted: Mapping[str, str]) -> Entry:
    """Return a visitor's input, with the errors in the current language.

    Values that the form does not ask for are ignored.
    """
    fields = list_fields(form)
    entry = Entry({name: submitted.get(name, "") for name in (EMAIL, *(f.key for f in fields))})
    if form.asks_tracking and submitted.get(TRACKING):
        entry.raw[TRACKING], entry.allows_tracking = "y", True
    if zone := find_timezone(submitted.get(TIMEZONE, "").strip()):
        entry.raw[TIMEZONE] = entry.values[TIMEZONE] = zone
    try:
        entry.email = parse_recipient(entry.raw[EMAIL])
    except InvalidEmail as error:
        entry.errors[EMAIL] = explain(error)
    for question in fields:
        clean = clean_attribute if question.attribute else clean_name
        try:
            value = clean(entry.raw[question.key])
        except InvalidValue as error:
            entry.errors[question.key] = explain(error)
            continue
        if value:
            entry.values[question.key] = value
        elif question.is_required:
            entry.errors[question.key] = _("Please fill this in.")
    return entry
