"""The form of a sender."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, Field, SelectField, StringField, ValidationError
from wtforms.validators import DataRequired, Length

from skymailing.email_addresses import InvalidEmail, parse_address
from skymailing.models.sender import SENDER_NAME_MAX_LENGTH
from skymailing.senders.services import SenderValues
from skymailing.web.error_texts import explain
from skymailing.web.form_fields import one_line, strip


def parse(_form: FlaskForm, field: Field) -> None:
    """Check an address unless it is empty, and convert it to the form that mail servers expect."""
    if not field.data:
        return
    try:
        field.data = parse_address(field.data)
    except InvalidEmail as error:
        raise ValidationError(explain(error)) from error


def make_address_field(label: Any, *validators: Any, description: Any) -> EmailField:
    attributes = {"autocomplete": "off", "inputmode": "email"}
    return EmailField(
        label, [*validators, parse], filters=[strip], description=description, render_kw=attributes
    )


class SenderForm(FlaskForm):
    """A new or existing sender."""

    address = make_address_field(
        _l("Email address"),
        DataRequired(_l("Enter an email address.")),
        description=_l("We will send a confirmation link to it."),
    )
    name = StringField(
        lazy_pgettext("sender", "Name"),
        [Length(max=SENDER_NAME_MAX_LENGTH), one_line],
        filters=[strip],
        description=_l("Clients see it next to the address. If empty, the name from your profile is used."),
    )
    reply_to = make_address_field(
        _l("Replies go to"), description=_l("Another address for replies, for example at Gmail.")
    )
    server = SelectField(_l("Mail server"), coerce=int, default=0)
    is_default = BooleanField(_l("Use in new mailings"))

    @property
    def values(self) -> SenderValues:
        """The validated input."""
        return SenderValues(
            name=self.name.data or "",
            address=self.address.data or "",
            reply_to=self.reply_to.data or "",
            is_default=bool(self.is_default.data),
            server_id=self.server.data or None,
        )
