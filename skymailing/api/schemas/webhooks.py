"""Schemas of webhooks and their calls."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, OneOf

from skymailing.api.schemas.base import OutputSchema, PageQuery, StrictSchema
from skymailing.models import OFFERED_TYPES, CallState, EndpointState
from skymailing.models.webhook import URL_MAX_LENGTH

TYPES = [type_.value for type_ in OFFERED_TYPES]


def events_field(**options: Any) -> fields.List[Any]:
    """Return a field for the types of events that an endpoint gets."""
    return fields.List(fields.String(validate=OneOf(TYPES)), validate=Length(1, len(TYPES)), **options)


class WebhookSchema(OutputSchema):
    """An address to which events are sent."""

    id = fields.Integer(required=True)
    url = fields.String(required=True)
    events = fields.List(fields.String(), required=True)
    state = fields.Enum(EndpointState, by_value=True, required=True)
    disabled_reason = fields.String(required=True)
    paused_until = fields.DateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When it is tried again after faults; null if it is not paused"},
    )
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class WebhookSecret(WebhookSchema):
    """An endpoint with its new secret, which is not shown again."""

    secret = fields.String(
        required=True, allow_none=True, metadata={"description": "null in the response to a repeated request"}
    )


class WebhookChange(StrictSchema):
    """Some values of an endpoint; others are kept."""

    url = fields.String(validate=Length(1, URL_MAX_LENGTH))
    events = events_field()


class NewWebhook(WebhookChange):
    """An endpoint to add."""

    url = fields.String(required=True, validate=Length(1, URL_MAX_LENGTH))
    events = events_field(required=True)


class CallSchema(OutputSchema):
    """The calls that deliver one event, until one is accepted."""

    id = fields.Integer(required=True)
    event_id = fields.String(required=True, metadata={"description": "The header webhook-id of its calls"})
    type = fields.String(required=True)
    state = fields.Enum(CallState, by_value=True, required=True)
    attempts = fields.Integer(required=True)
    due_at = fields.DateTime(required=True)
    last_code = fields.Integer(required=True, allow_none=True)
    last_response = fields.String(required=True)
    last_at = fields.DateTime(required=True, allow_none=True)


class CallQuery(PageQuery):
    """Filters of the calls of an endpoint."""

    state = fields.Enum(CallState, by_value=True)
