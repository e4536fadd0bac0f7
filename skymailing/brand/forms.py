"""The form of a brand."""

import re
from urllib.parse import urlsplit

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    ColorField,
    Field,
    SelectField,
    StringField,
    TextAreaField,
    URLField,
    ValidationError,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length

from skymailing.brand.services import BrandValues
from skymailing.models.brand import ADDRESS_MAX_LENGTH, BRAND_NAME_MAX_LENGTH, LINKS_MAX_LENGTH
from skymailing.web.colors import parse_color
from skymailing.web.form_fields import complete_url, one_line, strip

DEFAULT_COLOR = "#0b5fa5"  # the service's own


OWN_FIELDS = ("font", "background_color", "text_color", "link_color", "button_color", "address", "links")
FONT_CHOICES = [
    SelectChoice("", _l("Standard")),
    SelectChoice("arial", "Arial"),
    SelectChoice("verdana", "Verdana"),
    SelectChoice("tahoma", "Tahoma"),
    SelectChoice("trebuchet", "Trebuchet MS"),
    SelectChoice("georgia", "Georgia"),
    SelectChoice("times", "Times New Roman"),
    SelectChoice("courier", "Courier New"),
]
MAX_LINKS = 12
PAGE = re.compile(r"(https?://[^\s{}]+\.[^\s{}]+|mailto:[^\s{}@]+@[^\s{}@]+)")


def check_color(field: Field) -> None:
    """Accept an empty field or a colour such as #0b5fa5."""
    try:
        field.data = parse_color(field.data) if field.data else ""
    except ValueError as error:
        raise ValidationError(_("Enter a colour such as #0b5fa5.")) from error


def page_links(_form: FlaskForm, field: Field) -> None:
    """Accept URLs of pages, separated by spaces or line breaks; the https:// may be missing."""
    links = [complete_url(link) or "" for link in (field.data or "").split()]
    if len(links) > MAX_LINKS:
        raise ValidationError(_("Enter up to %(limit)s links.", limit=MAX_LINKS))
    for link in links:
        if not PAGE.fullmatch(link):
            raise ValidationError(_("“%(link)s” is not a link.", link=link[:100]))
    field.data = "\n".join(links)


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
    font = SelectField(_l("Font"), choices=FONT_CHOICES)
    background_color = StringField(_l("Background"), filters=[strip])
    text_color = StringField(lazy_pgettext("colour", "Text"), filters=[strip])
    link_color = StringField(_l("Links"), filters=[strip])
    button_color = StringField(_l("Buttons"), filters=[strip])
    address = TextAreaField(
        _l("Postal address"),
        [Length(max=ADDRESS_MAX_LENGTH)],
        filters=[strip],
        description=_l("Shown at the end of emails from the block editor. Many countries require it."),
    )
    links = TextAreaField(
        _l("Social networks"),
        [Length(max=LINKS_MAX_LENGTH), page_links],
        filters=[strip],
        description=_l("Links to your pages, one per line."),
    )
    logo = FileField(_l("Logo"), description=_l("JPEG, PNG or WebP. It is resized automatically."))
    removes_logo = BooleanField(_l("Remove the logo"))

    def validate_color(self, field: ColorField) -> None:
        """Accept a colour such as #0b5fa5; browsers without a picker may send any text."""
        try:
            field.data = parse_color(field.data) if field.data and not self.removes_color.data else ""
        except ValueError as error:
            raise ValidationError(_("Enter a colour such as #0b5fa5.")) from error

    def validate_background_color(self, field: StringField) -> None:
        """Accept a colour or none."""
        check_color(field)

    validate_text_color = validate_link_color = validate_button_color = validate_background_color

    @property
    def values(self) -> BrandValues:
        """The validated input."""
        # The default colour is not stored: browsers send it even if the user has not chosen a colour.
        color = self.color.data if self.color.data != DEFAULT_COLOR else ""
        own = {name: self[name].data or "" for name in OWN_FIELDS}
        return BrandValues(self.name.data or "", self.website.data or "", color or "", **own)
