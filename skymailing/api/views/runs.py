"""Runs, and their deliveries and attempts: the result of every letter."""

from typing import Any

from flask import Response, abort

from skymailing.api import delivery_rows
from skymailing.api.delivery_rows import ATTEMPT_FIELDS, ATTEMPT_ORDER, DELIVERY_FIELDS, DELIVERY_ORDER
from skymailing.api.paging import Listing, list_after
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.runs import (
    AttemptQuery,
    AttemptSchema,
    DeliveryQuery,
    DeliverySchema,
    RunSchema,
)
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access, current_owner
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.mailings import find_readable as find_mailing
from skymailing.api.views.pages import link_header, page_of
from skymailing.api.views.responses import json_response
from skymailing.mailings.queries import Ledger, count_runs
from skymailing.mailings.run_queries import find_run
from skymailing.models import OPEN_RUN_STATES, DeliveryState, MailingKind, Run, RunState

bp = Resource("runs", "What happened: runs, deliveries and attempts.")

# States of the engine that the API reports as one state.
SENDING = tuple(state for state in OPEN_RUN_STATES if state is not RunState.PLANNED)
TIMES = {"at", "due_at", "finished_at"}
COPIED = [name for name in RunSchema().fields if name not in ("state", "counts", "test")]


@bp.operation(
    "GET /mailings/<int:mailing_id>/runs", Scope.REPORTS_READ, query=PageQuery, gives=list_of(RunSchema)
)
def list_runs(query: dict[str, Any], mailing_id: int) -> Any:
    """List the runs of a mailing, oldest first."""
    mailing = find_mailing(mailing_id)
    statement = delivery_rows.select_runs(mailing.id)
    listing = list_after(statement, [(Run.id, False)], query.get("after"), query["limit"])
    return page_of(listing, [describe(ledger) for ledger in count_runs(listing.items)])


@bp.operation("GET /runs/<int:run_id>", Scope.REPORTS_READ, gives=RunSchema)
def get_run(run_id: int) -> Any:
    """Get a run, with the number of its deliveries in each state."""
    (ledger,) = count_runs([find_own(run_id)])
    return describe(ledger)


@bp.operation(
    "GET /runs/<int:run_id>/deliveries",
    Scope.REPORTS_READ,
    query=DeliveryQuery,
    gives=list_of(DeliverySchema),
)
def list_deliveries(query: dict[str, Any], run_id: int) -> Response:
    """List the deliveries of a run, in the order in which they were planned."""
    statement = delivery_rows.select_deliveries(find_own(run_id), query.get("state"))
    return write_rows(
        list_after(statement, DELIVERY_ORDER, query.get("after"), query["limit"]), DELIVERY_FIELDS
    )


@bp.operation("GET /deliveries/<big:delivery_id>", Scope.REPORTS_READ, gives=DeliverySchema)
def get_delivery(delivery_id: int) -> Response:
    """Get a delivery."""
    row = delivery_rows.find_delivery(current_access().owner_id, delivery_id) or abort(404)
    return json_response(write_row(row, DELIVERY_FIELDS))


@bp.operation(
    "GET /deliveries/<big:delivery_id>/attempts",
    Scope.REPORTS_READ,
    query=PageQuery,
    gives=list_of(AttemptSchema),
)
def list_delivery_attempts(query: dict[str, Any], delivery_id: int) -> Response:
    """List the attempts of a delivery, with the mail server's replies."""
    if delivery_rows.find_delivery(current_access().owner_id, delivery_id) is None:
        abort(404)
    statement = delivery_rows.select_attempts_of(delivery_id)
    return write_rows(
        list_after(statement, ATTEMPT_ORDER, query.get("after"), query["limit"]), ATTEMPT_FIELDS
    )


@bp.operation(
    "GET /runs/<int:run_id>/attempts", Scope.REPORTS_READ, query=AttemptQuery, gives=list_of(AttemptSchema)
)
def list_run_attempts(query: dict[str, Any], run_id: int) -> Response:
    """List the attempts of a run, oldest first, with the mail server's replies."""
    statement = delivery_rows.select_attempts(find_own(run_id).id, query.get("outcome"))
    return write_rows(
        list_after(statement, ATTEMPT_ORDER, query.get("after"), query["limit"]), ATTEMPT_FIELDS
    )


def find_own(run_id: int) -> Run:
    """Return the owner's run, also one of transactional emails, or abort with 404."""
    return find_run(current_owner(), run_id, tuple(MailingKind)) or abort(404)


def describe(ledger: Ledger) -> dict[str, Any]:
    """Return a run with its counts, for the schema."""
    run = ledger.run
    return {name: getattr(run, name) for name in COPIED} | {
        "state": RunState.SENDING.value if run.state in SENDING else run.state.value,
        "counts": {state.value: ledger.counts[state] for state in DeliveryState},
        "test": run.mailing.is_caught,
    }


def write_rows(listing: Listing, names: tuple[str, ...]) -> Response:
    """Return a page of rows without a schema, whose checks would take longer than the query."""
    response = json_response({"data": [write_row(row, names) for row in listing.items], "next": listing.next})
    response.headers.update(link_header(listing))
    return response


def write_row(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    written = dict(zip(names, row, strict=False))
    for name in TIMES & written.keys():
        if moment := written[name]:
            written[name] = moment.isoformat()
    return written
