"""Clients: list, read, add, change and delete them."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from flask import abort, url_for

from skymailing.api.paging import Listing, list_after
from skymailing.api.problems import InvalidField
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.clients import ClientChange, ClientQuery, ClientSchema, ClientUpsert, NewClient
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access, current_owner
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.clients import queries, services, tags
from skymailing.clients.batches import Verdict, clean_tags, key_attributes, read_row, save_batch
from skymailing.clients.deletion import delete_clients
from skymailing.clients.filters import ClientFilter, find_clients
from skymailing.clients.search.matching import clean_search
from skymailing.clients.services import ClientValues
from skymailing.clients.tags import TagChanges, tag_key
from skymailing.clock import utcnow
from skymailing.db.time_limit import limit_time
from skymailing.email_addresses import InvalidEmail, address_key, parse_recipient
from skymailing.extensions import db
from skymailing.models import Client, Origin
from skymailing.security import get_own

TEXTS = ("email", "full_name", "comment", "timezone")

bp = Resource("clients", "The address book.")

SCHEMA = ClientSchema()


@bp.operation("GET /clients", Scope.CLIENTS_READ, query=ClientQuery, gives=list_of(ClientSchema))
def list_clients(query: dict[str, Any]) -> Any:
    """List clients.

    Oldest first. Filters can be combined.
    """
    chosen = ClientFilter(
        clean_search(query.get("q", "")), query.get("tag", ""), query.get("segment", 0), query.get("status")
    )
    with limit_time() if chosen or "updated_since" in query else nullcontext():
        statement = find_clients(current_owner(), chosen, utcnow()).statement
        if "email" in query:
            statement = statement.where(Client.email_key == read_address(query["email"]))
        if "updated_since" in query:
            statement = statement.where(Client.updated_at >= query["updated_since"])
        listing = list_after(statement, queries.ORDERS["added"], query.get("after"), query["limit"])
    return page_of(listing, describe_clients(listing))


@bp.operation("GET /clients/<big:client_id>", Scope.CLIENTS_READ, gives=ClientSchema)
def get_client(client_id: int) -> Any:
    """Get a client."""
    return describe_client(get_own(Client, client_id))


@bp.operation("GET /clients/by-email/<path:email>", Scope.CLIENTS_READ, gives=ClientSchema, errors=(422,))
def get_client_by_email(email: str) -> Any:
    """Get the client with an address."""
    return describe_client(find_by_email(email) or abort(404))


@bp.operation("POST /clients", Scope.CLIENTS_WRITE, takes=NewClient, gives=ClientSchema, status=201)
def create_client(values: dict[str, Any]) -> Any:
    """Add a client.

    There must be none with this address; to add or update one, put it by its address.
    """
    attributes = key_attributes(values.get("attributes", {}))
    entered = ClientValues(
        email=values["email"],
        full_name=values.get("full_name", ""),
        comment=values.get("comment", ""),
        timezone=values.get("timezone", ""),
        attributes=[(name, value) for name, value in attributes.items() if value],
        tags=TagChanges(added=clean_tags(values.get("tags", ()))),
    )
    client = services.create_client(current_access().owner_id, entered, Origin.PROGRAM)
    return describe_client(client), 201, location_of(client)


@bp.operation(
    "PUT /clients/by-email/<path:email>",
    Scope.CLIENTS_WRITE,
    takes=ClientUpsert,
    gives=ClientSchema,
    also=(201,),
)
def upsert_client(values: dict[str, Any], email: str) -> Any:
    """Add a client, or update the one with this address.

    Values that are missing or empty stay as they are, and tags are added to those that the client has. The
    response is 201 for a new client, otherwise 200.
    """
    owner_id = current_access().owner_id
    existing = find_by_email(email, to_change=True)
    check_if_match(SCHEMA, describe_client(existing) if existing else None)
    texts = (values.get("full_name", ""), values.get("comment", ""), values.get("timezone", ""))
    row = read_row(email, *texts, values.get("attributes", {}), values.get("tags", ()))
    (result,) = save_batch(owner_id, [row], utcnow())
    if result.error is not None:
        raise result.error
    client = db.session.get_one(Client, result.client_id, populate_existing=True)
    is_new = result.verdict is Verdict.CREATED
    return describe_client(client), 201 if is_new else 200, location_of(client) if is_new else {}


@bp.operation("PATCH /clients/<big:client_id>", Scope.CLIENTS_WRITE, takes=ClientChange, gives=ClientSchema)
def update_client(values: dict[str, Any], client_id: int) -> Any:
    """Change some values of a client."""
    client = get_own(Client, client_id, to_change=True)
    check_if_match(SCHEMA, describe_client(client))
    attributes = client.attributes | key_attributes(values.get("attributes", {}))
    texts: dict[str, Any] = {name: values[name] for name in TEXTS if name in values}
    entered = replace(
        ClientValues.of(client),
        **texts,
        attributes=[(name, value) for name, value in attributes.items() if value],
        tags=compare_tags(client, values["tags"]) if "tags" in values else TagChanges(),
    )
    services.update_client(client, entered)
    return describe_client(client)


@bp.operation("DELETE /clients/<big:client_id>", Scope.CLIENTS_WRITE, status=204)
def delete_client(client_id: int) -> Any:
    """Delete a client.

    Letters that have not been sent are cancelled; the others stay in the log.
    """
    client = get_own(Client, client_id, to_change=True)
    check_if_match(SCHEMA, describe_client(client))
    delete_clients(client.owner_id, [client.id], utcnow(), current_actor())
    return "", 204


def read_address(text: str) -> str:
    """Return the key of an address in the query; raises InvalidField."""
    try:
        return address_key(parse_recipient(text))
    except InvalidEmail as error:
        raise InvalidField("", error, "email") from error


def find_by_email(email: str, *, to_change: bool = False) -> Client | None:
    key = address_key(parse_recipient(email))
    return queries.find_by_key(current_access().owner_id, key, to_change=to_change)


def compare_tags(client: Client, wanted: list[str]) -> TagChanges:
    """Return the changes that give the client exactly these tags."""
    names = {tag_key(name): name for name in clean_tags(wanted)}
    present = {tag_key(name): id for id, name in tags.list_client_tags(client)}
    return TagChanges(
        added=[name for key, name in names.items() if key not in present],
        removed=[id for key, id in present.items() if key not in names],
    )


def describe_client(client: Client) -> dict[str, Any]:
    return describe_clients(Listing([client], None))[0]


def describe_clients(listing: Listing) -> list[dict[str, Any]]:
    """Return clients with their tags and suppressions, for the schema."""
    clients = listing.items
    names = tags.find_tags([client.id for client in clients]) if clients else {}
    suppressed = queries.find_suppressions(current_access().owner_id, clients) if clients else {}
    fields = (
        *("id", "email", "full_name", "comment", "timezone", "attributes"),
        *("origin", "created_at", "updated_at"),
    )
    return [
        {name: getattr(client, name) for name in fields}
        | {"tags": names.get(client.id, []), "suppressed": suppressed.get(client.email_key)}
        for client in clients
    ]


def location_of(client: Client) -> dict[str, str]:
    return {"Location": url_for("api_clients.get_client", client_id=client.id)}
