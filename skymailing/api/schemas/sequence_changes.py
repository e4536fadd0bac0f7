"""Schemas of sequences and steps to add or change."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, Range

from skymailing.api.schemas.base import Flag, Line, StrictSchema, id_field, weekdays_field
from skymailing.api.schemas.segments import EXAMPLE
from skymailing.models import OnLate, Trigger, WaitUnit
from skymailing.models.sequence import DATE_KEY_MAX_LENGTH, SEQUENCE_NAME_MAX_LENGTH
from skymailing.sequences.values import MAX_OFFSET, MAX_WAIT


class OptionalConditions(fields.Dict):
    """Conditions as in segments, or null for none."""

    def __init__(self, description: str) -> None:
        about = f"{description}; conditions as in segments, or null"
        super().__init__(allow_none=True, metadata={"description": about, "example": EXAMPLE})


def target_field(object_name: str) -> fields.Integer:
    """Return the field with the ID of the object that a trigger refers to."""
    return id_field(allow_none=True, metadata={"description": f"For the trigger “{object_name}”"})


class SequenceChange(StrictSchema):
    """Some values of a sequence; the others stay."""

    name = Line(validate=Length(1, SEQUENCE_NAME_MAX_LENGTH))
    trigger = fields.Enum(
        Trigger,
        by_value=True,
        metadata={"description": "What lets clients enter, besides programs and people"},
    )
    form_id = target_field("form")
    tag_id = target_field("tag")
    joined_topic_id = target_field("topic")
    segment_id = target_field("segment")
    date_key = Line(
        validate=Length(max=DATE_KEY_MAX_LENGTH),
        metadata={"description": "For the trigger “date”: the name of the attribute"},
    )
    date_offset = fields.Integer(
        strict=True,
        validate=Range(-MAX_OFFSET, MAX_OFFSET),
        metadata={"description": "Days after the date; negative: before it"},
    )
    is_yearly = Flag(metadata={"description": "Whether each anniversary of the date counts"})
    reenter_days = fields.Integer(
        strict=True,
        allow_none=True,
        validate=Range(1, MAX_WAIT[WaitUnit.DAYS]),
        metadata={"description": "After how many days clients may enter again; null: never"},
    )
    exit_conditions = OptionalConditions("Clients who meet them leave before the next email")
    on_late = fields.Enum(
        OnLate,
        by_value=True,
        metadata={"description": "What happens to emails that are more than a day late"},
    )
    weekdays = weekdays_field("Days on which emails are sent; 1 is Monday; if the list is empty, every day")
    opens_at = fields.Time(format="%H:%M", allow_none=True)
    closes_at = fields.Time(format="%H:%M", allow_none=True)
    sender_id = id_field(allow_none=True, metadata={"description": "null: the service's own address"})
    topic_id = id_field(
        allow_none=True, metadata={"description": "Clients who have left it get none of the emails"}
    )
    track_clicks = Flag()


class NewSequence(SequenceChange):
    """A sequence to add, as a draft without steps."""

    name = Line(required=True, validate=Length(1, SEQUENCE_NAME_MAX_LENGTH))


class StepChange(StrictSchema):
    """Some values of a step; the others stay."""

    message_id = id_field()
    wait = fields.Integer(
        strict=True,
        validate=Range(0, max(MAX_WAIT.values())),
        metadata={"description": "How long clients wait after the step before, or after entering"},
    )
    wait_unit = fields.Enum(WaitUnit, by_value=True)
    at_time = fields.Time(
        format="%H:%M",
        allow_none=True,
        metadata={"description": "The time of the day, in the time zone of the account; null: any"},
    )
    conditions = OptionalConditions("Other clients go on without this email")
    before = id_field(
        allow_none=True,
        metadata={"description": "The ID of the step before which it comes; null: it comes last"},
    )


class NewStep(StepChange):
    """A step to add; it comes last, unless `before` says otherwise."""

    message_id = id_field(required=True)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Document the default of an optional value."""
        default = {"wait": 0, "wait_unit": WaitUnit.DAYS.value}.get(field_name)
        if default is not None:
            field_obj.metadata = {**field_obj.metadata, "default": default}
