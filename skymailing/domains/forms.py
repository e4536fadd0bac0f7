"""The forms of a sending domain."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, StringField, ValidationError
from wtforms.validators import DataRequired

from skymailing.email_addresses import InvalidEmail, parse_address
from skymailing.web.form_fields import strip


def parse_domain(_form: FlaskForm, field: Field) -> None:
    """Check a domain, which may be pasted as a link or an address, and convert it to lowercase ASCII."""
    text = (field.data or "").strip().lower().removeprefix("https://").removeprefix("http://")
    text = text.split("/", 1)[0].rpartition("@")[2].removeprefix("www.").rstrip(".")
    try:
        field.data = parse_address(f"name@{text}").rpartition("@")[2]
    except InvalidEmail as error:
        raise ValidationError(_l("Enter a domain such as example.com.")) from error
    if "." not in field.data:
        raise ValidationError(_l("Enter a domain such as example.com."))


class DomainForm(FlaskForm):
    """A new domain."""

    name = StringField(
        _l("Domain"),
        [DataRequired(_l("Enter a domain such as example.com.")), parse_domain],
        filters=[strip],
        render_kw={"autocomplete": "off", "inputmode": "url", "placeholder": "example.com"},
    )


class SigningForm(FlaskForm):
    """Choose whether we sign the domain's emails."""

    is_signed = BooleanField()
