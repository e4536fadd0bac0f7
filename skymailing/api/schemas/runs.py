"""Schemas of runs, deliveries and attempts."""

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from skymailing.api.schemas.base import OutputSchema, PageQuery
from skymailing.models import DeliveryState, Outcome

RUN_STATES = ("planned", "sending", "finished", "cancelled", "skipped")
Counts: type[Schema] = OutputSchema.from_dict(
    {state.value: fields.Integer(required=True) for state in DeliveryState}, name="RunCounts"
)


class RunSchema(OutputSchema):
    """A run: one occurrence of a mailing. `planned` is always the sum of its counts."""

    id = fields.Integer(required=True)
    mailing_id = fields.Integer(required=True)
    state = fields.String(required=True, validate=OneOf(RUN_STATES))
    subject = fields.String(required=True)
    scheduled_for = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True)
    finished_at = fields.DateTime(required=True, allow_none=True)
    planned = fields.Integer(required=True)
    counts = fields.Nested(Counts, required=True)
    returned = fields.Integer(required=True)
    complaints = fields.Integer(required=True)
    clicked = fields.Integer(required=True)
    unsubscribed = fields.Integer(required=True)
    test = fields.Boolean(
        required=True,
        metadata={
            "description": "Whether a test key added its mailing; its letters are stored instead of sent"
        },
    )


class DeliverySchema(OutputSchema):
    """One client's letter in one run."""

    id = fields.Integer(required=True)
    run_id = fields.Integer(required=True)
    client_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null once the client is deleted"}
    )
    email = fields.String(required=True)
    state = fields.Enum(DeliveryState, by_value=True, required=True)
    attempts = fields.Integer(
        required=True, metadata={"description": "Attempts that count against the recipient"}
    )
    due_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "When a deferred letter is tried again"}
    )
    finished_at = fields.DateTime(required=True, allow_none=True)


class AttemptSchema(OutputSchema):
    """An attempt to hand a letter to the mail server, with the server's own words."""

    id = fields.Integer(required=True)
    delivery_id = fields.Integer(required=True)
    run_id = fields.Integer(required=True)
    email = fields.String(required=True)
    number = fields.Integer(required=True)
    at = fields.DateTime(required=True)
    outcome = fields.Enum(Outcome, by_value=True, required=True)
    code = fields.Integer(required=True, allow_none=True, metadata={"description": "The server's reply code"})
    answer = fields.String(required=True)


class DeliveryQuery(PageQuery):
    """Filters of a run's deliveries."""

    state = fields.Enum(DeliveryState, by_value=True)


class AttemptQuery(PageQuery):
    """Filters of a run's attempts."""

    outcome = fields.Enum(Outcome, by_value=True)
