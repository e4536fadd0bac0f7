"""Suppressions: list, read and add them, and lift those that the owner made."""

from typing import Any

from flask import abort, url_for

from skymailing.api.paging import list_after
from skymailing.api.problems import ApiError
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.suppressions import SuppressionInput, SuppressionQuery, SuppressionSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.clients import read_address
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.clients import queries, suppression
from skymailing.clients.search.matching import clean_search
from skymailing.clock import utcnow
from skymailing.email_addresses import address_key, parse_recipient
from skymailing.models import Suppression
from skymailing.security import get_own

bp = Resource("suppressions", "Addresses that get no mailings.")

SCHEMA = SuppressionSchema()


@bp.operation(
    "GET /suppressions", Scope.CLIENTS_READ, query=SuppressionQuery, gives=list_of(SuppressionSchema)
)
def list_suppressions(query: dict[str, Any]) -> Any:
    """List suppressions, by address."""
    found = queries.list_suppressions(current_access().owner_id, clean_search(query.get("q", "")))
    if "email" in query:
        found = found.where(Suppression.email_key == read_address(query["email"]))
    if "reason" in query:
        found = found.where(Suppression.reason == query["reason"])
    listing = list_after(found, queries.SUPPRESSION_ORDER, query.get("after"), query["limit"])
    return page_of(listing, [describe(suppressed) for suppressed in listing.items])


@bp.operation("GET /suppressions/<big:suppression_id>", Scope.CLIENTS_READ, gives=SuppressionSchema)
def get_suppression(suppression_id: int) -> Any:
    """Get a suppression."""
    return describe(get_own(Suppression, suppression_id))


@bp.operation(
    "POST /suppressions",
    Scope.CLIENTS_WRITE,
    takes=SuppressionInput,
    gives=SuppressionSchema,
    status=201,
    also=(200,),
)
def create_suppression(values: dict[str, Any]) -> Any:
    """Stop mailings to an address.

    If it is suppressed already, its reason stays, and the response is 200. For many addresses, import a file.
    """
    owner_id, key = current_access().owner_id, address_key(parse_recipient(values["email"]))
    earlier = suppression.find_suppression(owner_id, key)
    if earlier is not None:
        return describe(earlier), 200
    suppression.suppress_all(owner_id, [suppression.NewSuppression.by_owner(key)], utcnow())
    added = suppression.find_suppression(owner_id, key) or abort(404)
    location = url_for("api_suppressions.get_suppression", suppression_id=added.id)
    return describe(added), 201, {"Location": location}


@bp.operation("DELETE /suppressions/<big:suppression_id>", Scope.CLIENTS_WRITE, status=204)
def delete_suppression(suppression_id: int) -> Any:
    """Lift a suppression with the reason “manual”.

    Others cannot be lifted: clients who have unsubscribed can only subscribe again themselves.
    """
    found = get_own(Suppression, suppression_id, to_change=True)
    check_if_match(SCHEMA, describe(found))
    if not suppression.lift_manual(found.owner_id, found.email_key):
        raise ApiError(409, "suppression_not_manual")
    return "", 204


def describe(found: Suppression) -> dict[str, Any]:
    """Return a suppression for the schema."""
    fields = ("id", "reason", "note", "created_at")
    return {name: getattr(found, name) for name in fields} | {"email": found.email_key}
