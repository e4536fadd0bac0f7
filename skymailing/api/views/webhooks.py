"""Webhooks: the addresses to which events are sent, and the log of calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import url_for

from skymailing import hints
from skymailing.api.paging import list_after
from skymailing.api.problems import InvalidField
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.webhooks import (
    CallQuery,
    CallSchema,
    NewWebhook,
    WebhookChange,
    WebhookSchema,
    WebhookSecret,
)
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access, current_owner
from skymailing.api.views.blueprint import Resource, after_commit
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.idempotency import hide_when_repeated
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.models import WebhookCall, WebhookEndpoint
from skymailing.security import get_own
from skymailing.webhooks import queries, services
from skymailing.webhooks.claims import write_message_id
from skymailing.webhooks.services import EndpointValues, WebhookError
from skymailing.webhooks.urls import InvalidUrl

bp = Resource("webhooks", "Addresses to which events are sent.")

SCHEMA = WebhookSchema()
COPIED = [name for name in CallSchema().fields if name not in ("event_id", "type")]


@bp.operation("GET /webhooks", Scope.WEBHOOKS_READ, query=PageQuery, gives=list_of(WebhookSchema))
def list_webhooks(query: dict[str, Any]) -> Any:
    """List webhooks, oldest first."""
    statement = queries.select_endpoints(current_access().owner_id)
    return page_of(list_after(statement, [(WebhookEndpoint.id, False)], query.get("after"), query["limit"]))


@bp.operation("GET /webhooks/<int:endpoint_id>", Scope.WEBHOOKS_READ, gives=WebhookSchema)
def get_webhook(endpoint_id: int) -> Any:
    """Get a webhook."""
    return get_own(WebhookEndpoint, endpoint_id)


@bp.operation("POST /webhooks", Scope.WEBHOOKS_WRITE, takes=NewWebhook, gives=WebhookSecret, status=201)
def create_webhook(values: dict[str, Any]) -> Any:
    """Add a webhook.

    Only this response contains its secret.
    """
    with naming_fields():
        endpoint, secret = services.create_endpoint(
            current_owner(), EndpointValues(**values), utcnow(), current_actor()
        )
    location = url_for("api_webhooks.get_webhook", endpoint_id=endpoint.id)
    return show_secret(endpoint, secret), 201, {"Location": location}


@bp.operation(
    "PATCH /webhooks/<int:endpoint_id>", Scope.WEBHOOKS_WRITE, takes=WebhookChange, gives=WebhookSchema
)
def update_webhook(values: dict[str, Any], endpoint_id: int) -> Any:
    """Change the address or the events of a webhook."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    services.lock(endpoint)
    check_if_match(SCHEMA, endpoint)
    changed = {"url": endpoint.url, "events": endpoint.events} | values
    with naming_fields():
        services.change_endpoint(endpoint, EndpointValues(**changed), current_actor())
    return endpoint


@bp.operation("DELETE /webhooks/<int:endpoint_id>", Scope.WEBHOOKS_WRITE, status=204)
def delete_webhook(endpoint_id: int) -> Any:
    """Delete a webhook with its log."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    services.lock(endpoint)
    check_if_match(SCHEMA, endpoint)
    services.delete_endpoint(endpoint, current_actor())
    return "", 204


@bp.operation("POST /webhooks/<int:endpoint_id>/rotate", Scope.WEBHOOKS_WRITE, gives=WebhookSecret)
def rotate_webhook(endpoint_id: int) -> Any:
    """Replace the secret; the old one also signs for 24 hours."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    return show_secret(endpoint, services.rotate_secret(endpoint, utcnow(), current_actor()))


@bp.operation("POST /webhooks/<int:endpoint_id>/enable", Scope.WEBHOOKS_WRITE, gives=WebhookSchema)
def enable_webhook(endpoint_id: int) -> Any:
    """Send events again."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    services.enable_endpoint(endpoint, current_actor())
    after_commit(hints.hint_webhooks)
    return endpoint


@bp.operation("POST /webhooks/<int:endpoint_id>/disable", Scope.WEBHOOKS_WRITE, gives=WebhookSchema)
def disable_webhook(endpoint_id: int) -> Any:
    """Stop sending events."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    services.disable_endpoint(endpoint, current_actor())
    return endpoint


@bp.operation("POST /webhooks/<int:endpoint_id>/test", Scope.WEBHOOKS_WRITE, gives=WebhookSchema, status=202)
def test_webhook(endpoint_id: int) -> Any:
    """Send a test event; its response appears in the log of calls."""
    endpoint = get_own(WebhookEndpoint, endpoint_id)
    services.send_test(endpoint, utcnow())
    after_commit(hints.hint_webhooks)
    return endpoint, 202


@bp.operation(
    "GET /webhooks/<int:endpoint_id>/calls", Scope.WEBHOOKS_READ, query=CallQuery, gives=list_of(CallSchema)
)
def list_webhook_calls(query: dict[str, Any], endpoint_id: int) -> Any:
    """List the calls of a webhook, oldest first."""
    statement = queries.select_calls(get_own(WebhookEndpoint, endpoint_id).id)
    if "state" in query:
        statement = statement.where(WebhookCall.state == query["state"])
    listing = list_after(statement, [(WebhookCall.id, False)], query.get("after"), query["limit"])
    return page_of(listing, [describe_call(call) for call in listing.items])


@bp.operation("POST /webhook-calls/<big:call_id>/again", Scope.WEBHOOKS_WRITE, gives=CallSchema, status=202)
def repeat_webhook_call(call_id: int) -> Any:
    """Send an event again, with the same ID."""
    call = get_own(WebhookCall, call_id)
    services.send_again(call, utcnow())
    after_commit(hints.hint_webhooks)
    return describe_call(call), 202


@contextmanager
def naming_fields() -> Iterator[None]:
    """Report errors of the service with the fields at fault."""
    try:
        yield
    except InvalidUrl as error:
        raise InvalidField("/url", error) from error
    except WebhookError as error:
        if not error.field:
            raise
        raise InvalidField(f"/{error.field}", error) from error


def show_secret(endpoint: WebhookEndpoint, secret: str) -> dict[str, Any]:
    """Return an endpoint with its secret, which is not stored for a repeated request."""
    hide_when_repeated("secret")
    return {name: getattr(endpoint, name) for name in SCHEMA.fields} | {"secret": secret}


def describe_call(call: WebhookCall) -> dict[str, Any]:
    """Return a call with its event, for the schema."""
    event = {"event_id": write_message_id(call.event), "type": call.event.type}
    return {name: getattr(call, name) for name in COPIED} | event
