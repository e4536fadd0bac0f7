"""Schemas of purchases."""

from marshmallow import fields
from marshmallow.validate import Length, Regexp

from skymailing.api.schemas.base import Line, Moment, OutputSchema, PageQuery, StrictSchema, id_field

AMOUNT = {"description": "A decimal number as text, such as 1499.90, in units of the currency"}
MAX_ORDER_NUMBER = 100


class PurchaseSchema(OutputSchema):
    """An order in your shop, and the mailing that it is credited to."""

    id = fields.Integer(required=True)
    order_number = fields.String(required=True)
    client_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null once the client is deleted"}
    )
    amount = fields.String(required=True, metadata=AMOUNT)
    currency = fields.String(required=True)
    purchased_at = fields.DateTime(required=True)
    mailing_id = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The mailing whose link the client clicked last in the 7 days before"},
    )
    run_id = fields.Integer(required=True, allow_none=True)
    created_at = fields.DateTime(required=True)


class NewPurchase(StrictSchema):
    """An order in your shop. The client is named by `client_id` or by `email`."""

    order_number = Line(
        required=True,
        validate=Length(1, MAX_ORDER_NUMBER),
        metadata={"description": "Your number of the order; each order counts once"},
    )
    client_id = id_field(is_big=True)
    email = fields.String(validate=Length(1, 320))
    amount = fields.String(
        required=True,
        validate=Regexp(r"[0-9]{1,15}(\.[0-9]{1,4})?\Z", error="Use a decimal number such as 1499.90."),
        metadata=AMOUNT | {"pattern": r"^[0-9]{1,15}(\.[0-9]{1,4})?$"},
    )
    currency = fields.String(
        required=True,
        validate=Regexp(r"[A-Z]{3}\Z", error="Use a code of three capital letters, such as EUR."),
        metadata={"description": "The code of the currency (ISO 4217)", "pattern": "^[A-Z]{3}$"},
    )
    purchased_at = Moment(metadata={"description": "Without it, now"})


class PurchaseQuery(PageQuery):
    """Filters of the list of purchases."""

    order_number = fields.String(validate=Length(1, MAX_ORDER_NUMBER))
    client_id = id_field(is_big=True, in_query=True)
    mailing_id = id_field(in_query=True)
