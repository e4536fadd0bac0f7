"""Form fields that several features share."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, Field, ValidationError
from wtforms.validators import Optional
from wtforms.widgets import DateTimeLocalInput

from skymailing.errors import SkyMailingError
from skymailing.web.i18n import user_zone
from skymailing.web.timezones import FIRST_YEAR, LAST_YEAR, day_ends, day_starts, format_local, parse_local


class LocalTimeField(Field):
    """A moment typed in the user's time zone; `data` is in UTC, or None when nothing was typed."""

    widget = DateTimeLocalInput()

    def __init__(self, label: Any, validators: Sequence[Any] = (), **options: Any) -> None:
        # Seconds are allowed: without a step, browsers refuse a time that has them.
        super().__init__(label, validators, **{"render_kw": {"step": "1"}, **options})
        self.zone: ZoneInfo = user_zone()

    def process_formdata(self, values: list[str]) -> None:
        self.data: datetime | None = None
        if not values or not values[0].strip():
            return
        present = self.object_data
        if present and values[0].strip() == format_local(present, self.zone):
            # Brought back unchanged: the page shows no fractions, nor which of two equal hours it is.
            self.data = present
            return
        try:
            self.data = parse_local(values[0], self.zone)
        except SkyMailingError as error:
            raise ValueError(str(error)) from error

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return format_local(self.data, self.zone) if self.data else ""


def one_line(_form: FlaskForm, field: Field) -> None:
    """Refuse line breaks and control characters: the text becomes part of a letter's header."""
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in field.data or ""):
        raise ValidationError(_("Only letters, digits and signs on one line, please."))


def strip(text: str | None) -> str | None:
    """Return the text without spaces around it, and without what no database stores."""
    return text.replace("\0", "").strip() if text else text


def read_id(text: Any) -> int:
    """Return a posted id, or 0, which is nobody's."""
    text = str(text)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


class PeriodForm(FlaskForm):
    """From which day to which; read from the address of the page, so that it can be shared."""

    class Meta:
        csrf = False

    since = DateField(_l("Since"), [Optional()])
    until = DateField(_l("Until"), [Optional()])

    def validate_since(self, field: DateField) -> None:
        """Keep to years that every database knows."""
        if field.data and not FIRST_YEAR <= field.data.year <= LAST_YEAR:
            raise ValidationError(_("Choose a year between 1970 and 9000."))

    def validate_until(self, field: DateField) -> None:
        """Refuse a period that ends before it begins."""
        self.validate_since(field)
        if field.data and self.since.data and field.data < self.since.data:
            raise ValidationError(_("The end of the period is before its beginning."))

    def read(self, name: str) -> Any:
        """Return what a field asks for; None when nothing, or when there is an error in it."""
        return None if self[name].errors else self[name].data

    def moments(self) -> tuple[datetime | None, datetime | None]:
        """Return when the period begins and when it is over, in UTC."""
        since, until, zone = self.read("since"), self.read("until"), user_zone()
        return (day_starts(since, zone) if since else None, day_ends(until, zone) if until else None)
