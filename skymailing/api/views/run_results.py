"""The results of a run: clicks, results by group, and the A/B test."""

from typing import Any
from zoneinfo import ZoneInfo

from flask import Response

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.reports import (
    AbTestSchema,
    BreakdownSchema,
    ClickQuery,
    ClickSchema,
    RunClicksSchema,
    WinnerInput,
)
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_owner
from skymailing.api.views.blueprint import Resource, after_commit
from skymailing.api.views.pages import link_header
from skymailing.api.views.responses import json_response
from skymailing.api.views.runs import find_own
from skymailing.clock import utcnow
from skymailing.delivery.variants.contents import load_headers
from skymailing.delivery.variants.results import read_results
from skymailing.dispatch import dispatch_mailings
from skymailing.extensions import db
from skymailing.mailings import click_queries
from skymailing.mailings.breakdowns import EXPORTED, NUMBERS, Breakdown, break_down
from skymailing.mailings.variant_choice import choose_winner as set_winner
from skymailing.models import Run
from skymailing.tracking.click_counts import to_time

bp = Resource("run_results", "Clicks, results by group, and A/B tests.")


@bp.operation("GET /runs/<int:run_id>/clicks", Scope.REPORTS_READ, gives=RunClicksSchema)
def get_run_clicks(run_id: int) -> Any:
    """Get how many people clicked and opened, and the links of a run."""
    return click_queries.count_clicks(find_own(run_id))


@bp.operation(
    "GET /runs/<int:run_id>/clicks/people",
    Scope.REPORTS_READ,
    query=ClickQuery,
    gives=list_of(ClickSchema),
)
def list_run_clicks(query: dict[str, Any], run_id: int) -> Response:
    """List the recipients who followed any link of a run, or one link."""
    number = query.get("link")
    statement = click_queries.select_people(find_own(run_id).id, number)
    order = click_queries.order_people(number)
    listing = list_after(statement, order, query.get("after"), query["limit"])
    rows = [
        {
            "delivery_id": row.Delivery.id,
            "client_id": row.Delivery.client_id,
            "email": row.Delivery.email,
            "first_at": to_time(row.first_at).isoformat(),
            "clicks": row.clicks,
        }
        for row in listing.items
    ]
    response = json_response({"data": rows, "next": listing.next})
    response.headers.update(link_header(listing))
    return response


@bp.operation("GET /runs/<int:run_id>/breakdown", Scope.REPORTS_READ, gives=BreakdownSchema)
def get_run_breakdown(run_id: int) -> Any:
    """Get the results of a run by domain, by segment and tag, and by hour."""
    run = find_own(run_id)
    found = break_down(run, ZoneInfo(current_owner().timezone), utcnow(), most=EXPORTED)
    return {
        "domains": write_groups(found.domains, "domain"),
        "parts": write_groups(found.parts, "name"),
        "hours": write_groups(found.hours, "begins_at"),
    }


def write_groups(breakdown: Breakdown, key: str) -> list[dict[str, Any]] | None:
    """Return the groups with a name or time under `key`."""
    if breakdown.groups is None:
        return None
    return [
        {key: group.begins_at if key == "begins_at" else group.name or None}
        | {name: group[name] for name in NUMBERS}
        for group in breakdown.groups
    ]


@bp.operation("GET /runs/<int:run_id>/test", Scope.REPORTS_READ, gives=AbTestSchema)
def get_run_test(run_id: int) -> Any:
    """Get the A/B test of a run, with the results of its variants."""
    return describe(find_own(run_id))


@bp.operation("POST /runs/<int:run_id>/winner", Scope.MAILINGS_SEND, takes=WinnerInput, gives=AbTestSchema)
def choose_winner(values: dict[str, int], run_id: int) -> Any:
    """Send a variant to the clients outside the sample.

    The choice is final.
    """
    run, now = find_own(run_id), utcnow()
    set_winner(run, values["number"], now)
    db.session.flush()
    mailing_id = run.mailing_id
    after_commit(lambda: dispatch_mailings([mailing_id], now))
    return describe(run)


def describe(run: Run) -> dict[str, Any]:
    """Return the test of a run, for the schema."""
    headers = load_headers(db.session(), run.id)
    results = read_results(db.session(), run) if headers else []
    counts = ("number", "planned", "sent", "clicked")
    return {
        "ends_at": run.test_ends_at,
        "winner_by": run.winner_by if headers else None,
        "winner": run.winner,
        "decision": run.decision,
        "variants": [
            {name: getattr(result, name) for name in counts}
            | dict(zip(("subject", "sender_name"), headers[result.number], strict=True))
            for result in results
        ],
    }
