"""Purchases: report, read, correct and remove them."""

from typing import Any

from flask import url_for

from skymailing.api.paging import list_after
from skymailing.api.problems import InvalidField
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.purchases import NewPurchase, PurchaseQuery, PurchaseSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.clock import utcnow
from skymailing.email_addresses import InvalidEmail, address_key, parse_recipient
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, Purchase
from skymailing.purchases import queries, services
from skymailing.security import get_own
from skymailing.web.money import format_amount, is_currency, parse_amount

bp = Resource("purchases", "Orders in your shop, credited to mailings.")

SCHEMA = PurchaseSchema()
COPIED = ("id", "order_number", "client_id", "currency", "purchased_at", "mailing_id", "run_id", "created_at")


@bp.operation("GET /purchases", Scope.PURCHASES_READ, query=PurchaseQuery, gives=list_of(PurchaseSchema))
def list_purchases(query: dict[str, Any]) -> Any:
    """List purchases, in the order in which they were reported."""
    values = {name: query[name] for name in ("order_number", "client_id", "mailing_id") if name in query}
    found = queries.select_purchases(current_access().owner_id, **values)
    listing = list_after(found, queries.ORDER, query.get("after"), query["limit"])
    return page_of(listing, [describe(purchase) for purchase in listing.items])


@bp.operation("GET /purchases/<big:purchase_id>", Scope.PURCHASES_READ, gives=PurchaseSchema)
def get_purchase(purchase_id: int) -> Any:
    """Get a purchase."""
    return describe(get_own(Purchase, purchase_id))


@bp.operation(
    "POST /purchases",
    Scope.PURCHASES_WRITE,
    takes=NewPurchase,
    gives=PurchaseSchema,
    status=201,
    also=(200,),
)
def report_purchase(values: dict[str, Any]) -> Any:
    """Report a purchase of a client.

    It is credited to the mailing whose link the client clicked last in the 7 days before. If the order is
    known already, the response is 200, and only its amount is replaced: report 0 after a full refund.
    """
    owner_id, now = current_access().owner_id, utcnow()
    amount, currency = read_price(values)
    known = queries.find_by_order(owner_id, values["order_number"])
    if known is not None:
        services.correct_amount(known, amount, currency)
        return describe(known), 200
    at = values.get("purchased_at", now)
    reported = services.NewPurchase(values["order_number"], amount, currency, at)
    buyer = find_client(owner_id, values)
    try:
        purchase, is_new = services.add_purchase(buyer, reported, now)
    except UserError as error:
        raise InvalidField("/purchased_at", error) from error
    if not is_new:
        return describe(purchase), 200
    location = url_for("api_purchases.get_purchase", purchase_id=purchase.id)
    return describe(purchase), 201, {"Location": location}


@bp.operation("DELETE /purchases/<big:purchase_id>", Scope.PURCHASES_WRITE, status=204)
def delete_purchase(purchase_id: int) -> Any:
    """Remove a purchase, for example one that was reported by mistake."""
    purchase = get_own(Purchase, purchase_id, to_change=True)
    check_if_match(SCHEMA, describe(purchase))
    db.session.delete(purchase)
    return "", 204


def read_price(values: dict[str, Any]) -> tuple[int, str]:
    """Return the amount in the currency's smallest unit, and the currency; raises InvalidField."""
    currency = values["currency"]
    if not is_currency(currency):
        raise InvalidField("/currency", UserError("purchase_currency"))
    amount = parse_amount(values["amount"], currency)
    if amount is None:
        raise InvalidField("/amount", UserError("purchase_amount"))
    return amount, currency


def find_client(owner_id: int, values: dict[str, Any]) -> Client:
    """Return the client who bought; raises InvalidField."""
    if ("client_id" in values) == ("email" in values):
        raise InvalidField("/client_id", UserError("purchase_client_missing"))
    if "client_id" in values:
        client = services.find_buyer(owner_id, values["client_id"])
        if client is None:
            raise InvalidField("/client_id", UserError("purchase_client_unknown"))
        return client
    try:
        key = address_key(parse_recipient(values["email"]))
    except InvalidEmail as error:
        raise InvalidField("/email", error) from error
    client = services.find_buyer_by_address(owner_id, key)
    if client is None:
        raise InvalidField("/email", UserError("purchase_client_unknown"))
    return client


def describe(purchase: Purchase) -> dict[str, Any]:
    """Return a purchase for the schema."""
    values = {name: getattr(purchase, name) for name in COPIED}
    return values | {"amount": format_amount(purchase.amount, purchase.currency)}
