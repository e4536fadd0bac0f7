"""Returned mail: list and read it, and decide unclear cases."""

from collections.abc import Callable
from typing import Any

from flask import abort

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.returned import BounceQuery, BounceSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.pages import page_of
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Bounce
from skymailing.returns import consequences
from skymailing.returns.queries import ReturnFilter, select_returns
from skymailing.security import get_own

bp = Resource("returned", "Bounces and complaints that were reported after a letter was sent.")

COPIED = ("id", "kind", "proof", "status", "delivery_id", "run_id", "mailing_id", "received_at")


@bp.operation("GET /returned", Scope.REPORTS_READ, query=BounceQuery, gives=list_of(BounceSchema))
def list_returned(query: dict[str, Any]) -> Any:
    """List returned mail, oldest first."""
    found = ReturnFilter(
        owner_id=current_access().owner_id,
        kind=query.get("kind"),
        is_unclear=query.get("unclear", False),
        address=query.get("q", ""),
    )
    listing = list_after(select_returns(found), [(Bounce.id, False)], query.get("after"), query["limit"])
    return page_of(listing, [describe(row) for row in listing.items])


@bp.operation("GET /returned/<big:bounce_id>", Scope.REPORTS_READ, gives=BounceSchema)
def get_returned(bounce_id: int) -> Any:
    """Get a bounce or complaint."""
    return read_one(bounce_id)


@bp.operation("POST /returned/<big:bounce_id>/confirm", Scope.CLIENTS_WRITE, gives=BounceSchema)
def confirm_returned(bounce_id: int) -> Any:
    """Stop mailings to the address of an unclear bounce."""
    return decide(bounce_id, lambda bounce: consequences.confirm(bounce, utcnow()))


@bp.operation("POST /returned/<big:bounce_id>/dismiss", Scope.CLIENTS_WRITE, gives=BounceSchema)
def dismiss_returned(bounce_id: int) -> Any:
    """Ignore an unclear bounce."""
    return decide(bounce_id, consequences.dismiss)


def decide(bounce_id: int, decision: Callable[[Bounce], None]) -> dict[str, Any]:
    decision(get_own(Bounce, bounce_id))
    return read_one(bounce_id)


def read_one(bounce_id: int) -> dict[str, Any]:
    """Return the owner's bounce for the schema, or abort with 404."""
    found = select_returns(ReturnFilter(current_access().owner_id)).where(Bounce.id == bounce_id)
    return describe(db.session.execute(found).first() or abort(404))


def describe(row: Any) -> dict[str, Any]:
    """Return a row of `select_returns` for the schema."""
    bounce = row.Bounce
    return {name: getattr(bounce, name) for name in COPIED} | {
        "email": bounce.email_key,
        "answer": bounce.diagnostic,
        "server": bounce.remote_mta,
        "client_id": row.client_id,
    }
