"""Form fields and validators that several features share."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from markupsafe import Markup, escape
from wtforms import DateField, Field, SelectMultipleField, ValidationError
from wtforms.validators import Optional
from wtforms.widgets import CheckboxInput, DateTimeLocalInput, Select

from skymailing.errors import UserError
from skymailing.web.error_texts import explain
from skymailing.web.i18n import get_user_zone
from skymailing.web.timezones import (
    FIRST_YEAR,
    LAST_YEAR,
    end_of_day,
    format_local,
    parse_local,
    start_of_day,
)

WITHOUT_SCHEME = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?(?=[/?#]|$)")


class ChoicesField(SelectMultipleField):
    """Several choices as check boxes."""

    option_widget = CheckboxInput()


class LongSelect(Select):
    """A list of hundreds of choices, each rendered without WTForms' general function for attributes."""

    @classmethod
    def render_option(cls, choice: Any, **attributes: Any) -> Markup:
        values = {"value": choice.value, **(choice.render_kw or {}), **attributes}
        start = " ".join(f'{name}="{escape(value)}"' for name, value in values.items())
        selected = " selected" if choice.selected else ""
        label = escape(choice.label or choice.value)
        return Markup(f"<option {start}{selected}>{label}</option>")  # noqa: S704 - all values are escaped


class LocalTimeField(Field):
    """A time typed in the user's time zone; `data` is in UTC, or None for an empty field."""

    widget = DateTimeLocalInput()

    def __init__(self, label: Any, validators: Sequence[Any] = (), **options: Any) -> None:
        super().__init__(label, validators, **options)
        self.zone: ZoneInfo = get_user_zone()

    def __call__(self, **attributes: Any) -> Markup:
        """Render the field; without a step, browsers reject a time with seconds."""
        has_seconds = self._value().count(":") > 1
        markup: Markup = super().__call__(**({"step": "1"} if has_seconds else {}), **attributes)
        return markup

    def process_formdata(self, values: list[str]) -> None:
        self.data: datetime | None = None
        if not values or not values[0].strip():
            return
        current = self.object_data
        if current and values[0].strip() == format_local(current, self.zone):
            # The field is unchanged. Parsing would drop fractions of a second, and return the first of two
            # equal hours.
            self.data = current
            return
        try:
            self.data = parse_local(values[0], self.zone)
        except UserError as error:
            raise ValueError(explain(error)) from error

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return format_local(self.data, self.zone) if self.data else ""


def one_line(_form: FlaskForm, field: Field) -> None:
    """Reject line breaks and control characters: the text goes into a letter's header."""
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in field.data or ""):
        raise ValidationError(_("Use one line without special characters."))


def strip(text: str | None) -> str | None:
    """Return the text without surrounding spaces and without NUL, which no database stores."""
    return text.replace("\0", "").strip() if text else text


def complete_url(text: str | None) -> str | None:
    """Return a web address, adding the https:// that people omit."""
    return f"https://{text}" if text and WITHOUT_SCHEME.match(text) else text


class PeriodForm(FlaskForm):
    """A period of days; part of the page's URL, so that the link can be shared."""

    class Meta:
        csrf = False

    since = DateField(_l("Since"), [Optional()])
    until = DateField(_l("Until"), [Optional()])

    def validate_since(self, field: DateField) -> None:
        """Reject years that not every database can store."""
        if field.data and not FIRST_YEAR <= field.data.year <= LAST_YEAR:
            raise ValidationError(
                explain(UserError("time_year_out_of_range", first=FIRST_YEAR, last=LAST_YEAR))
            )

    def validate_until(self, field: DateField) -> None:
        """Reject a period that ends before it begins."""
        self.validate_since(field)
        if field.data and self.since.data and field.data < self.since.data:
            raise ValidationError(_("The period ends before it begins."))

    def valid_data(self, name: str) -> Any:
        """Return a field's value; None for an empty or an invalid field."""
        return None if self[name].errors else self[name].data

    def utc_range(self) -> tuple[datetime | None, datetime | None]:
        """Return the beginning and end of the period in UTC; None for an empty field."""
        since, until, zone = self.valid_data("since"), self.valid_data("until"), get_user_zone()
        return (start_of_day(since, zone) if since else None, end_of_day(until, zone) if until else None)
