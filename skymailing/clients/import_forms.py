"""Forms for imports of clients."""

import io
from typing import Any, BinaryIO

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import Length, ValidationError

from skymailing.clients.cleaning import clean_text
from skymailing.clients.columns import parse_field
from skymailing.clients.consents import TEXT_MAX_LENGTH
from skymailing.clients.fields import Field
from skymailing.clients.files.encodings import ENCODINGS
from skymailing.clients.files.pasted import make_csv
from skymailing.clients.forms import NO_AUTOCOMPLETE, check_with
from skymailing.clients.mapping import Mapping
from skymailing.clients.statuses import Standing
from skymailing.clients.tags import read_tags


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
