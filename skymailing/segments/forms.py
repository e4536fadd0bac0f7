"""The form of a segment."""

import json
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import Field, StringField, TextAreaField, ValidationError
from wtforms.validators import DataRequired, Length

from skymailing.delivery.audience.conditions import Node
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.models import User
from skymailing.models.segment import SEGMENT_NAME_MAX_LENGTH
from skymailing.web.error_texts import explain
from skymailing.web.form_fields import one_line, strip

MAX_CONDITIONS = 100_000  # characters


def parse_conditions(text: str, viewpoint: Viewpoint) -> Node:
    """Return the conditions in a JSON text, checked against the owner's data; raises InvalidConditions."""
    if not text.strip():
        raise InvalidConditions("segment_empty")
    try:
        data = json.loads(text[: MAX_CONDITIONS + 1])
    except (ValueError, RecursionError) as error:
        raise InvalidConditions("segment_unreadable") from error
    return read_segment(data, viewpoint)


def write_json(conditions: Any) -> str:
    """Return conditions as JSON text for the form."""
    return json.dumps(conditions, ensure_ascii=False, indent=2)


class SegmentForm(FlaskForm):
    """A new or existing segment. After validation, `node` has its conditions."""

    name = StringField(
        lazy_pgettext("segment", "Name"),
        [DataRequired(_l("Enter a name.")), Length(max=SEGMENT_NAME_MAX_LENGTH), one_line],
        filters=[strip],
    )
    conditions = TextAreaField(_l("Conditions as JSON"), [Length(max=MAX_CONDITIONS)])

    def __init__(self, owner: User, now: datetime, **options: Any) -> None:
        super().__init__(**options)
        self.viewpoint = Viewpoint.of(owner, now)
        self.node: Node | None = None
        # The number of the condition that has an error, counted from 1 in reading order.
        self.wrong_number: int | None = None

    def validate_conditions(self, field: Field) -> None:
        """Parse the conditions, and remember which one has an error."""
        try:
            self.node = parse_conditions(field.data or "", self.viewpoint)
        except InvalidConditions as error:
            self.mark(error)
            raise ValidationError(explain(error)) from error

    def mark(self, error: InvalidConditions) -> None:
        """Remember which condition has an error."""
        number = error.values.get("number")
        self.wrong_number = number if isinstance(number, int) else None
