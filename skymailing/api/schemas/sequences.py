"""Schemas of sequences, their steps, and the clients in them."""

from marshmallow import fields
from marshmallow.validate import OneOf

from skymailing.api.schemas.base import Flag, OutputSchema, PageQuery, StrictSchema, id_field
from skymailing.models import EnrolmentState, OnLate, SequenceState, Trigger, WaitUnit


class StepSchema(OutputSchema):
    """An email of a sequence, and how long clients wait for it."""

    id = fields.Integer(required=True)
    sequence_id = fields.Integer(required=True)
    message_id = fields.Integer(required=True)
    mailing_id = fields.Integer(
        required=True, metadata={"description": "In runs, logs and events: what holds its letters"}
    )
    wait = fields.Integer(required=True)
    wait_unit = fields.String(required=True, validate=OneOf([unit.value for unit in WaitUnit]))
    at_time = fields.Time(format="%H:%M", required=True, allow_none=True)
    conditions = fields.Dict(required=True, allow_none=True)
    version = fields.Integer(required=True)
    waiting = fields.Integer(required=True)
    sent = fields.Integer(required=True)
    clicked = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    left = fields.Integer(required=True)


class SequenceHead(OutputSchema):
    """A sequence."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf([state.value for state in SequenceState]))
    trigger = fields.String(required=True, validate=OneOf([trigger.value for trigger in Trigger]))
    reenter_days = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null: clients enter only once"}
    )
    entered = fields.Integer(required=True)
    done = fields.Integer(required=True)
    left = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class SequenceSchema(SequenceHead):
    """A sequence with its steps."""

    form_id = fields.Integer(required=True, allow_none=True)
    tag_id = fields.Integer(required=True, allow_none=True)
    joined_topic_id = fields.Integer(required=True, allow_none=True)
    segment_id = fields.Integer(required=True, allow_none=True)
    date_key = fields.String(required=True)
    date_offset = fields.Integer(required=True)
    is_yearly = fields.Boolean(required=True)
    exit_conditions = fields.Dict(required=True, allow_none=True)
    on_late = fields.Enum(OnLate, by_value=True, required=True)
    weekdays = fields.List(fields.Integer(), required=True)
    opens_at = fields.Time(format="%H:%M", required=True, allow_none=True)
    closes_at = fields.Time(format="%H:%M", required=True, allow_none=True)
    sender_id = fields.Integer(required=True, allow_none=True)
    topic_id = fields.Integer(required=True, allow_none=True)
    track_clicks = fields.Boolean(required=True)
    version = fields.Integer(required=True)
    steps = fields.List(fields.Nested(StepSchema), required=True)


class EnrolmentSchema(OutputSchema):
    """A client's progress in a sequence."""

    id = fields.Integer(required=True)
    sequence_id = fields.Integer(required=True)
    client_id = fields.Integer(required=True)
    state = fields.String(required=True, validate=OneOf([state.value for state in EnrolmentState]))
    step_id = fields.Integer(
        required=True, metadata={"description": "The step that the client waits for, or the last one"}
    )
    due_at = fields.DateTime(required=True, allow_none=True)
    entered_at = fields.DateTime(required=True)
    ended_at = fields.DateTime(required=True, allow_none=True)
    left_reason = fields.String(required=True)


class EnrolmentQuery(PageQuery):
    """Which enrolments to list."""

    state = fields.String(validate=OneOf([state.value for state in EnrolmentState]))


class NewEnrolment(StrictSchema):
    """A client to add to a sequence."""

    client_id = id_field(is_big=True, required=True)
    repeat = Flag(
        load_default=False,
        metadata={"description": "Also if the client has been in the sequence before"},
    )
