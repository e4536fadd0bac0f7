"""The form of a brand."""

from urllib.parse import urlsplit

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, ColorField, Field, StringField, URLField, ValidationError
from wtforms.validators import Length

from skymailing.brand.services import BrandValues
from skymailing.models.brand import BRAND_NAME_MAX_LENGTH
from skymailing.web.colors import parse_color
from skymailing.web.form_fields import complete_url, one_line, strip

DEFAULT_COLOR = "#0b5fa5"  # the service's own


def check_web_address(_form: FlaskForm, field: Field) -> None:
    """Accept only URLs of web pages, since visitors follow the link."""
    if not field.data:
        return
    try:
        parts = urlsplit(field.data)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username
    except ValueError:
        is_web = False
    if not is_web or any(letter.isspace() for letter in field.data):
        raise ValidationError(_("Enter an address that begins with https://."))


class BrandForm(FlaskForm):
    """Edit how the user appears on public pages."""

    name = StringField(
        lazy_pgettext("brand", "Name"),
        [Length(max=BRAND_NAME_MAX_LENGTH), one_line],
        filters=[strip],
        description=_l("If empty, the name from your profile is used."),
    )
    website = URLField(
        _l("Website"), [Length(max=500), one_line, check_web_address], filters=[strip, complete_url]
    )
    color = ColorField(_l("Colour"), filters=[strip])
    removes_color = BooleanField(_l("Use the default colour"))
    logo = FileField(_l("Logo"), description=_l("JPEG, PNG or WebP. It is resized automatically."))
    removes_logo = BooleanField(_l("Remove the logo"))

    def validate_color(self, field: ColorField) -> None:
        """Accept a colour such as #0b5fa5; browsers without a colour chooser send any text."""
        try:
            field.data = parse_color(field.data) if field.data and not self.removes_color.data else ""
        except ValueError as error:
            raise ValidationError(_("Enter a colour such as #0b5fa5.")) from error

    @property
    def values(self) -> BrandValues:
        """The validated input."""
        # The default colour is not stored: browsers send it even if the user has not chosen a colour.
        color = self.color.data if self.color.data != DEFAULT_COLOR else ""
        return BrandValues(self.name.data or "", self.website.data or "", color or "")
