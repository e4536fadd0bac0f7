"""Read an owner's endpoints and their calls."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from skymailing.db.pagination import Page, paginate
from skymailing.extensions import db
from skymailing.models import CallState, WebhookCall, WebhookEndpoint

MAX_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint, its last attempted call, and the number of waiting calls."""

    endpoint: WebhookEndpoint
    last: WebhookCall | None
    waiting: int


def select_endpoints(owner_id: int) -> Select[tuple[WebhookEndpoint]]:
    """Return a statement for the owner's endpoints, oldest first."""
    return select(WebhookEndpoint).where(WebhookEndpoint.owner_id == owner_id).order_by(WebhookEndpoint.id)


def list_endpoints(owner_id: int) -> list[EndpointRow]:
    """Return the owner's endpoints; they are few."""
    return [describe(endpoint) for endpoint in db.session.scalars(select_endpoints(owner_id))]


def describe(endpoint: WebhookEndpoint) -> EndpointRow:
    """Return an endpoint with its last attempted call and the number of waiting calls."""
    of_endpoint = WebhookCall.endpoint_id == endpoint.id
    tried = select(WebhookCall).where(of_endpoint, WebhookCall.last_at.is_not(None))
    last = db.session.scalar(tried.order_by(WebhookCall.id.desc()).limit(1))
    waiting = select(WebhookCall.id).where(of_endpoint, WebhookCall.state == CallState.PENDING)
    count = select(func.count()).select_from(waiting.limit(MAX_COUNTED).subquery())
    return EndpointRow(endpoint, last, db.session.scalar(count) or 0)


def select_calls(endpoint_id: int) -> Select[tuple[WebhookCall]]:
    """Return a statement for the calls of an endpoint with their events."""
    calls = select(WebhookCall).where(WebhookCall.endpoint_id == endpoint_id)
    return calls.options(joinedload(WebhookCall.event))


def list_calls(endpoint_id: int, cursor: str | None) -> Page:
    """Return a page of the calls of an endpoint, newest first."""
    order: list[tuple[Any, bool]] = [(WebhookCall.id, True)]
    return paginate(select_calls(endpoint_id), order, cursor)
