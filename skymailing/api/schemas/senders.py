"""Schemas of senders."""

from marshmallow import fields

from skymailing.api.schemas.base import OutputSchema
from skymailing.models import StateReason

PROBLEMS = [StateReason.SENDER_UNUSABLE.value, StateReason.SERVER_UNUSABLE.value]


class SenderSchema(OutputSchema):
    """An address from which mailings are sent."""

    id = fields.Integer(required=True)
    name = fields.String(
        required=True, metadata={"description": "If it is empty, the name in the owner's profile is used"}
    )
    address = fields.String(required=True)
    reply_to = fields.String(
        required=True, metadata={"description": "If it is empty, replies go to `address`"}
    )
    is_default = fields.Boolean(required=True, metadata={"description": "Whether new mailings use it"})
    confirmed_at = fields.DateTime(
        required=True,
        allow_none=True,
        metadata={"description": "null if it is not confirmed, so it cannot be used yet"},
    )
    problem = fields.String(
        required=True,
        allow_none=True,
        metadata={"enum": [*PROBLEMS, None], "description": "Why it cannot be used; null if it can"},
    )
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
