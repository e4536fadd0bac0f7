"""Schemas of suppressed addresses."""

from marshmallow import fields
from marshmallow.validate import Length

from skymailing.api.schemas.base import OutputSchema, PageQuery, StrictSchema
from skymailing.clients.search.matching import SEARCH_MAX_LENGTH
from skymailing.models import SuppressionReason


class SuppressionSchema(OutputSchema):
    """An address that gets no mailings, whether or not it belongs to a client."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    reason = fields.Enum(SuppressionReason, by_value=True, required=True)
    note = fields.String(required=True, metadata={"description": "The mail server's reply, or a comment"})
    created_at = fields.DateTime(required=True)


class SuppressionInput(StrictSchema):
    """An address to suppress."""

    email = fields.String(required=True)


class SuppressionQuery(PageQuery):
    """Filters of the list of suppressions."""

    email = fields.String(validate=Length(1, 320), metadata={"description": "The exact address"})
    q = fields.String(
        validate=Length(1, SEARCH_MAX_LENGTH), metadata={"description": "A part of the address"}
    )
    reason = fields.Enum(SuppressionReason, by_value=True)
