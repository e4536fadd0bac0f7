"""Client forms."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import FieldList, Form, FormField, StringField, TextAreaField
from wtforms.validators import InputRequired, ValidationError

from skymailing.clients.cleaning import (
    MAX_ATTRIBUTES,
    InvalidValue,
    clean_attribute,
    clean_comment,
    clean_name,
)
from skymailing.clients.services import ClientValues
from skymailing.email_addresses import InvalidEmail, display_address, parse_address
from skymailing.models import Client
from skymailing.web.error_texts import explain

NO_AUTOCOMPLETE = {"autocomplete": "off"}
BLANK_PAIRS = 2  # empty rows below the filled ones, for users without JavaScript


def check_address(_form: Any, field: Any) -> None:
    """Validate an e-mail address."""
    try:
        parse_address(field.data or "")
    except InvalidEmail as error:
        raise ValidationError(explain(error)) from error


def check_with(clean: Any) -> Any:
    """Return a validator that calls one of the cleaning functions."""

    def check(_form: Any, field: Any) -> None:
        try:
            clean(field.data or "")
        except InvalidValue as error:
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

    email = StringField(
        _l("E-mail"), [InputRequired(_l("Enter the client's e-mail address.")), check_address]
    )
    full_name = StringField(_l("Full name"), [check_with(clean_name)])
    comment = TextAreaField(
        _l("Comment"),
        [check_with(clean_comment)],
        description=_l("Only you can see this. It never appears in letters."),
    )
    attributes = FieldList(FormField(AttributeForm), max_entries=MAX_ATTRIBUTES)

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
            attributes=[(pair.form.name.data or "", pair.form.value.data or "") for pair in self.attributes],
        )


def make_client_form(client: Client | None = None) -> ClientForm:
    """Return the form with the submitted data, or with the client's values."""
    if client is None:
        form = ClientForm()
    else:
        form = ClientForm(
            data={
                "email": display_address(client.email),
                "full_name": client.full_name,
                "comment": client.comment,
                "attributes": [{"name": key, "value": value} for key, value in client.attributes.items()],
            }
        )
    if not form.is_submitted():
        form.add_blank_pairs()
    return form


class ImportForm(FlaskForm):
    """Upload a CSV file."""

    file = FileField(_l("CSV file"), [FileRequired(_l("Choose a file."))])
