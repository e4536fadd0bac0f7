"""Schemas of returned mail."""

from marshmallow import fields
from marshmallow.validate import Length

from skymailing.api.schemas.base import OutputSchema, PageQuery, QueryFlag
from skymailing.models import BounceKind, Proof


class BounceSchema(OutputSchema):
    """A failure or a complaint that was reported after the mail server accepted a letter."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    kind = fields.Enum(BounceKind, by_value=True, required=True)
    proof = fields.Enum(
        Proof,
        by_value=True,
        required=True,
        metadata={
            "description": "What proves that it belongs to a letter; with “address”, a person has to decide"
        },
    )
    status = fields.String(required=True, metadata={"description": "As in RFC 3463, such as 5.1.1"})
    answer = fields.String(required=True, metadata={"description": "The reply of the recipient's server"})
    server = fields.String(required=True)
    client_id = fields.Integer(required=True, allow_none=True)
    delivery_id = fields.Integer(required=True, allow_none=True)
    run_id = fields.Integer(required=True, allow_none=True)
    mailing_id = fields.Integer(required=True, allow_none=True)
    received_at = fields.DateTime(required=True)


class BounceQuery(PageQuery):
    """Filters of the list of returned mail."""

    kind = fields.Enum(BounceKind, by_value=True)
    unclear = QueryFlag(metadata={"description": "true: only those that need a decision"})
    q = fields.String(validate=Length(1, 320), metadata={"description": "A part of the address"})
