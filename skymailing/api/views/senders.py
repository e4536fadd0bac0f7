"""Senders: list and read them. They are added on the page, because their address has to be confirmed."""

from typing import Any

from flask import abort

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.senders import SenderSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.pages import page_of
from skymailing.delivery.senders import find_problem
from skymailing.models import Sender
from skymailing.senders.queries import find_sender_by_id, select_senders

bp = Resource("senders", "Addresses from which mailings are sent.")

COPIED = [name for name in SenderSchema().fields if name != "problem"]


@bp.operation("GET /senders", Scope.MAILINGS_READ, query=PageQuery, gives=list_of(SenderSchema))
def list_senders(query: dict[str, Any]) -> Any:
    """List senders, by address."""
    listing = list_after(
        select_senders(current_access().owner_id),
        [(Sender.address_key, False)],
        query.get("after"),
        query["limit"],
    )
    return page_of(listing, [describe(sender) for sender in listing.items])


@bp.operation("GET /senders/<int:sender_id>", Scope.MAILINGS_READ, gives=SenderSchema)
def get_sender(sender_id: int) -> Any:
    """Get a sender."""
    return describe(find_sender_by_id(current_access().owner_id, sender_id) or abort(404))


def describe(sender: Sender) -> dict[str, Any]:
    """Return a sender for the schema."""
    return {name: getattr(sender, name) for name in COPIED} | {"problem": find_problem(sender)}
