"""Client forms."""

import io
import re
from collections.abc import Iterable
from typing import Any, BinaryIO

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import FieldList, Form, FormField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, ValidationError

from skymailing.clients.cleaning import (
    MAX_ATTRIBUTES,
    InvalidValue,
    clean_attribute,
    clean_comment,
    clean_name,
    clean_text,
)
from skymailing.clients.columns import parse_field
from skymailing.clients.consents import TEXT_MAX_LENGTH
from skymailing.clients.fields import Field
from skymailing.clients.files.encodings import ENCODINGS
from skymailing.clients.files.pasted import make_csv
from skymailing.clients.mapping import Mapping
from skymailing.clients.services import ClientValues
from skymailing.clients.statuses import Standing
from skymailing.clients.tags import MAX_TAGS, InvalidTag, TagChanges, list_client_tags, read_tags, tag_key
from skymailing.clock import utcnow
from skymailing.delivery.audience.fields import Activity, State
from skymailing.email_addresses import InvalidEmail, address_key, display_address, parse_recipient
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
# The labels of the list's filter, in the plural.
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
        except (InvalidTag, InvalidValue) as error:
            raise ValidationError(explain(error)) from error

    return check


class AttributeForm(Form):
    """The name and value of one custom field."""

    name = StringField(lazy_pgettext("value", "Name"))
    value = StringField(_l("Value"), [check_with(clean_attribute)], render_kw=NO_AUTOCOMPLETE)

    def validate_name(self, field: Any) -> None:
        if (self.value.data or "").strip() and not (field.data or "").strip():
            raise ValidationError(_("Name this field."))


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

    def add_blank_pairs(self) -> None:
        for _number in range(BLANK_PAIRS):
            if len(self.attributes) < MAX_ATTRIBUTES:
                self.attributes.append_entry()

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


def make_client_form(client: Client | None = None) -> ClientForm:
    """Return the form with the submitted data, or with the client's values."""
    if client is None:
        form = ClientForm()
    else:
        tags = list_client_tags(client)
        form = ClientForm(
            current_timezone=client.timezone,
            data={
                "email": display_address(client.email),
                "full_name": client.full_name,
                "comment": client.comment,
                "timezone": client.timezone,
                "tags": ", ".join(name for _id, name in tags),
                "shown_tags": write_shown_tags(tags),
                "attributes": [{"name": key, "value": value} for key, value in client.attributes.items()],
            },
        )
    if not form.is_submitted():
        form.add_blank_pairs()
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


class ImportForm(FlaskForm):
    """Upload a file of clients, or paste a list of them."""

    file = FileField(_l("File"))
    pasted = TextAreaField(_l("List"))

    def validate_file(self, field: FileField) -> None:
        """Require a file or a list."""
        if not field.data and not (self.pasted.data or "").strip():
            raise ValidationError(_("Choose a file, or paste a list."))

    def open_source(self) -> tuple[BinaryIO, str]:
        """Return the file, or the pasted list as a file, and its name."""
        if self.file.data:
            return self.file.data.stream, self.file.data.filename or ""
        return io.BytesIO(make_csv(self.pasted.data or "")), _("Pasted list") + ".csv"


FIELD_LABELS: dict[str, Any] = {
    Field.EMAIL: _l("Email"),
    Field.OTHER_EMAIL: _l("Second email address"),
    Field.FULL_NAME: _l("Full name"),
    Field.FIRST_NAME: _l("First name"),
    Field.MIDDLE_NAME: _l("Middle name"),
    Field.LAST_NAME: _l("Last name"),
    Field.COMMENT: _l("Comment"),
    Field.TIMEZONE: _l("Time zone"),
    Field.TAGS: _l("Tags"),
    Field.ATTRIBUTE: _l("Custom field"),
    Field.JSON: _l("Several custom fields (JSON)"),
    Field.STATUS: _l("Status (active, unsubscribed …)"),
    Field.SUBSCRIBED: _l("Subscribed: yes or no"),
    Field.UNSUBSCRIBED: _l("Unsubscribed: yes, or a date"),
    Field.BOUNCED: _l("Bounced: yes, or a date"),
    Field.COMPLAINED: _l("Complained: yes, or a date"),
    Field.CONSENT_TIME: _l("Time of consent"),
    Field.CONSENT_IP: _l("IP address of consent"),
    Field.SKIP: _l("Do not import"),
}
STANDING_LABELS: dict[Standing, Any] = {
    Standing.MAILABLE: _l("Add as clients"),
    Standing.UNSUBSCRIBED: _l("Never email: unsubscribed"),
    Standing.BOUNCED: _l("Never email: bounced"),
    Standing.COMPLAINED: _l("Never email: marked as spam"),
    Standing.BLOCKED: _l("Do not email: my own decision"),
    Standing.SKIPPED: _l("Skip: never confirmed"),
}


class MappingForm(FlaskForm):
    """Confirm the column mapping of a file. There is a field `field-<position>` for each column."""

    encoding = SelectField(
        _l("Encoding"), choices=[SelectChoice(name, label) for name, label in ENCODINGS.items()]
    )
    standing = SelectField(
        _l("People in this file"),
        coerce=int,
        choices=[SelectChoice(standing.value, label) for standing, label in STANDING_LABELS.items()],
    )
    consent = TextAreaField(
        _l("How did these people agree to receive your emails?"),
        [Length(max=TEXT_MAX_LENGTH)],
        description=_l("For example: “ticked the box when ordering in our shop”. Kept as proof of consent."),
    )

    tags = StringField(
        _l("Tag these clients"),
        [check_with(read_tags)],
        description=_l("Separated by commas."),
        render_kw=NO_AUTOCOMPLETE | {"list": "known-tags"},
    )

    def read_mapping(self, columns: int) -> Mapping:
        """Return the choices for a file with this number of columns."""
        chosen = [parse_field(request.form.get(f"field-{i}", "")) or Field.ATTRIBUTE for i in range(columns)]
        tags = clean_text(self.tags.data or "")
        return Mapping(self.encoding.data, tuple(map(str, chosen)), self.standing.data, tags)
