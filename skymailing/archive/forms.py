"""The forms through which owners publish letters."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField
from wtforms.validators import DataRequired, Length

from skymailing.archive.services import EntryValues
from skymailing.models.archive import ARCHIVE_SLUG_MAX_LENGTH
from skymailing.web.form_fields import strip


class EntryForm(FlaskForm):
    """Choose how a letter is published."""

    slug = StringField(
        lazy_pgettext("web page", "Address"),
        [Length(max=ARCHIVE_SLUG_MAX_LENGTH)],
        filters=[strip],
        description=_l("The last part of the page's address. Leave empty to use the subject."),
    )
    is_indexed = BooleanField(_l("Let search engines find it"))

    @property
    def values(self) -> EntryValues:
        """The validated input."""
        return EntryValues(self.slug.data or "", bool(self.is_indexed.data))


class AddressForm(FlaskForm):
    """Choose the address of the archive."""

    slug = StringField(
        lazy_pgettext("web page", "Address"),
        [DataRequired(_l("Enter an address.")), Length(max=ARCHIVE_SLUG_MAX_LENGTH)],
        filters=[strip],
        description=_l("Links to the old address will stop working."),
    )
