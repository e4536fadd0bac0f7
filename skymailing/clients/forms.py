"""Client forms."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import FieldList, Form, FormField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, ValidationError

from skymailing.clients.bulk.values import clean_field, clean_value
from skymailing.clients.cleaning import (
    MAX_ATTRIBUTES,
    clean_attribute,
    clean_comment,
    clean_name,
)
from skymailing.clients.known_fields import order_values
from skymailing.clients.services import ClientValues
from skymailing.clients.tags import MAX_TAGS, TagChanges, list_client_tags, read_tags, tag_key
from skymailing.clock import utcnow
from skymailing.delivery.audience.fields import Activity, State
from skymailing.email_addresses import InvalidEmail, address_key, display_address, parse_recipient
from skymailing.errors import UserError
from skymailing.models import Client
from skymailing.web.error_texts import explain
from skymailing.web.form_fields import LongSelect
from skymailing.web.ids import read_id
from skymailing.web.timezone_choices import list_timezone_choices

STATUS_LABELS: dict[str, Any] = {
    State.MAILABLE: lazy_pgettext("client status", "subscribed"),
    State.SUPPRESSED: lazy_pgettext("client status", "excluded from mailings"),
    State.UNSUBSCRIBED: lazy_pgettext("client status", "unsubscribed"),
    State.BOUNCED: lazy_pgettext("client status", "address refused"),
    State.COMPLAINED: lazy_pgettext("client status", "marked as spam"),
}
ACTIVITY_LABELS: dict[str, Any] = {
    Activity.ACTIVE: lazy_pgettext("activity", "active"),
    Activity.QUIET: lazy_pgettext("activity", "quiet"),
    Activity.NEW: lazy_pgettext("activity", "new"),
}
# Plural labels for the list's filter.
ACTIVITY_FILTERS: dict[str, Any] = {
    Activity.ACTIVE: lazy_pgettext("clients", "Active"),
    Activity.QUIET: lazy_pgettext("clients", "Quiet"),
    Activity.NEW: lazy_pgettext("clients", "New"),
}
# Keyed by the names in `list_columns.STANDARD`.
COLUMN_LABELS: dict[str, Any] = {
    "tags": _l("Tags"),
    "comment": _l("Comment"),
    "added": _l("Added"),
    "changed": _l("Changed"),
    "last_email": _l("Last email"),
    "last_click": _l("Last click"),
}
NO_AUTOCOMPLETE = {"autocomplete": "off"}
BLANK_PAIRS = 2  # empty rows below the filled ones, for users without JavaScript


def check_address(_form: Any, field: Any) -> None:
    """Validate an email address."""
    try:
        parse_recipient(field.data or "")
    except InvalidEmail as error:
        raise ValidationError(explain(error)) from error


def check_with(clean: Any) -> Any:
    """Return a validator that calls one of the cleaning functions."""

    def check(_form: Any, field: Any) -> None:
        try:
            clean(field.data or "")
        except UserError as error:
            raise ValidationError(explain(error)) from error

    return check


class AttributeForm(Form):
    """The name and value of one custom field."""

    name = StringField(lazy_pgettext("value", "Name"))
    value = StringField(_l("Value"), [check_with(clean_attribute)], render_kw=NO_AUTOCOMPLETE)

    def validate_name(self, field: Any) -> None:
        if (self.value.data or "").strip() and not (field.data or "").strip():
            raise ValidationError(_("Name this field."))


class BulkValueForm(FlaskForm):
    """Set a custom field of many clients."""

    field = StringField(
        _l("Field"), [InputRequired(_l("The name needs a letter or a digit.")), check_with(clean_field)]
    )
    field_value = StringField(
        _l("Value"),
        [check_with(clean_value)],
        description=_l("Leave empty to remove the field."),
        render_kw=NO_AUTOCOMPLETE,
    )


class ClientForm(FlaskForm):
    """Add or edit a client."""

    email = StringField(_l("Email"), [InputRequired(_l("Enter the client's email address.")), check_address])
    full_name = StringField(_l("Full name"), [check_with(clean_name)])
    comment = TextAreaField(
        _l("Comment"),
        [check_with(clean_comment)],
        description=_l("Only you can see this. It never appears in emails."),
    )
    timezone = SelectField(
        _l("Time zone"),
        default="",
        description=_l("For mailings that are sent at each client's local time."),
        widget=LongSelect(),
    )
    tags = StringField(
        _l("Tags"),
        [check_with(read_tags)],
        description=_l("Separated by commas."),
        render_kw=NO_AUTOCOMPLETE | {"list": "known-tags"},
    )
    # The tags that the page showed, `<ID>:<name>` each: another window may have changed them since.
    shown_tags = HiddenField()
    attributes = FieldList(FormField(AttributeForm), max_entries=MAX_ATTRIBUTES)

    def __init__(self, *args: Any, current_timezone: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        own = SelectChoice("", _("Not set: same as yours"))
        self.timezone.choices = [own, *list_timezone_choices(utcnow(), current_timezone or "UTC")]

    def add_blank_pairs(self, count: int = BLANK_PAIRS) -> None:
        for _number in range(count):
            if len(self.attributes) < MAX_ATTRIBUTES:
                self.attributes.append_entry()

    def add_field(self, name: str) -> None:
        """Add a custom field with this name, in an empty row if there is one."""
        pairs = [pair.form for pair in self.attributes]
        blank = next((pair for pair in pairs if not (pair.name.data or pair.value.data)), None)
        if blank is None and len(self.attributes) < MAX_ATTRIBUTES:
            blank = self.attributes.append_entry().form
        if blank is not None:
            blank.name.data = name

    def read_values(self) -> ClientValues:
        """Return the submitted values."""
        return ClientValues(
            email=self.email.data or "",
            full_name=self.full_name.data or "",
            comment=self.comment.data or "",
            timezone=self.timezone.data or "",
            attributes=[(pair.form.name.data or "", pair.form.value.data or "") for pair in self.attributes],
            tags=self.read_tag_changes(),
        )

    def read_tag_changes(self) -> TagChanges:
        """Return what the user has changed, so that tags renamed or deleted since do not reappear."""
        shown = read_shown_tags(self.shown_tags.data or "")
        entered = {tag_key(name): name for name in read_tags(self.tags.data or "")}
        return TagChanges(
            added=[name for key, name in entered.items() if key not in shown],
            removed=[tag_id for key, tag_id in shown.items() if key not in entered],
        )


def write_shown_tags(tags: Iterable[tuple[int, str]]) -> str:
    return ",".join(f"{tag_id}:{name}" for tag_id, name in tags)


def read_shown_tags(text: str) -> dict[str, int]:
    """Return the IDs of the tags that a form showed, by `tag_key`."""
    parts = (part.partition(":") for part in text.split(",", MAX_TAGS)[:MAX_TAGS] if part)
    return {tag_key(name): read_id(tag_id) for tag_id, _colon, name in parts}


def make_client_form(client: Client | None = None, fields: Sequence[str] = ()) -> ClientForm:
    """Return the form with the submitted data, the client's values, or these fields for a new client."""
    if client is None:
        form = ClientForm(data={"attributes": [{"name": name} for name in fields]})
    else:
        tags = list_client_tags(client)
        values = order_values(client, fields)
        form = ClientForm(
            current_timezone=client.timezone,
            data={
                "email": display_address(client.email),
                "full_name": client.full_name,
                "comment": client.comment,
                "timezone": client.timezone,
                "tags": ", ".join(name for _id, name in tags),
                "shown_tags": write_shown_tags(tags),
                "attributes": [{"name": key, "value": value} for key, value in values.items()],
            },
        )
    if not form.is_submitted():
        form.add_blank_pairs(1 if fields and client is None else BLANK_PAIRS)
    return form


class SuppressionForm(FlaskForm):
    """Stop mailing some addresses."""

    addresses = TextAreaField(
        _l("Addresses"),
        [InputRequired(_l("Enter at least one address."))],
        description=_l("Separated by spaces, commas or line breaks."),
    )

    def validate_addresses(self, field: Any) -> None:
        for address in re.split(r"[\s,;]+", field.data.strip()):
            try:
                parse_recipient(address)
            except InvalidEmail as error:
                raise ValidationError(f"{address[:100]}: {explain(error)}") from error

    def read_keys(self) -> list[str]:
        """Return the keys of the addresses, without duplicates."""
        addresses = re.split(r"[\s,;]+", (self.addresses.data or "").strip())
        return list(dict.fromkeys(address_key(parse_recipient(address)) for address in addresses))
