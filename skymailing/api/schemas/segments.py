"""Schemas of segments."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length

from skymailing.api.schemas.base import Line, OutputSchema, StrictSchema
from skymailing.models.segment import SEGMENT_NAME_MAX_LENGTH

EXAMPLE = {"all": [{"field": "tag", "op": "is", "value": "vip"}, {"field": "full_name", "op": "is_set"}]}


class Conditions(fields.Dict):
    """Conditions on clients as stored; docs/segments.md lists the fields and comparisons."""

    def __init__(self, **options: Any) -> None:
        description = "Groups {all: […]}, {any: […]}, {not: …} of {field, op, value}"
        super().__init__(metadata={"description": description, "example": EXAMPLE}, **options)


class SegmentSchema(OutputSchema):
    """A segment: saved conditions that select clients."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    conditions = Conditions(required=True)
    version = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class SegmentInput(StrictSchema):
    """The name and the conditions of a segment."""

    name = Line(required=True, validate=Length(1, SEGMENT_NAME_MAX_LENGTH))
    conditions = Conditions(required=True)


class ConditionsInput(StrictSchema):
    """Conditions that are not saved."""

    conditions = Conditions(required=True)


class SegmentCount(OutputSchema):
    """How many clients meet the conditions."""

    count = fields.Integer(required=True)
    is_exact = fields.Boolean(
        required=True, metadata={"description": "false: there are more clients than were counted"}
    )
    suppressed = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How many of them get no mailings; null if there are too many to check"},
    )
    total = fields.Integer(
        required=True, metadata={"description": "The number of all clients, counted up to the same limit"}
    )
