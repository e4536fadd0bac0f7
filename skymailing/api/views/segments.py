"""Segments: list, read, save and delete them, and read and count their clients."""

from typing import Any

from flask import url_for

from skymailing.api.condition_pointers import find_pointer
from skymailing.api.paging import list_after
from skymailing.api.problems import InvalidField
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.clients import ClientSchema
from skymailing.api.schemas.segments import ConditionsInput, SegmentCount, SegmentInput, SegmentSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access, current_owner
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.clients import describe_clients
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.clients.queries import ORDERS
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.db.time_limit import limit_time
from skymailing.delivery.audience.conditions import Node
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.models import Segment
from skymailing.security import get_own
from skymailing.segments import deletion, queries, services

bp = Resource("segments", "Saved conditions that select clients.")

SCHEMA = SegmentSchema()


@bp.operation("GET /segments", Scope.CLIENTS_READ, query=PageQuery, gives=list_of(SegmentSchema))
def list_segments(query: dict[str, Any]) -> Any:
    """List segments, oldest first."""
    statement = queries.list_segments(current_access().owner_id)
    return page_of(list_after(statement, [(Segment.id, False)], query.get("after"), query["limit"]))


@bp.operation("GET /segments/<int:segment_id>", Scope.CLIENTS_READ, gives=SegmentSchema)
def get_segment(segment_id: int) -> Any:
    """Get a segment."""
    return get_own(Segment, segment_id)


@bp.operation(
    "POST /segments",
    Scope.CLIENTS_WRITE,
    takes=SegmentInput,
    gives=SegmentSchema,
    status=201,
    starts_reading=True,
)
def create_segment(values: dict[str, Any]) -> Any:
    """Add a segment.

    Its conditions are checked: the objects that they refer to must exist.
    """
    node = read_node(values["conditions"])
    start_writing()
    segment = Segment(owner_id=current_access().owner_id)
    services.save_segment(segment, values["name"], node, None)
    return segment, 201, {"Location": url_for("api_segments.get_segment", segment_id=segment.id)}


@bp.operation(
    "PUT /segments/<int:segment_id>",
    Scope.CLIENTS_WRITE,
    takes=SegmentInput,
    gives=SegmentSchema,
    starts_reading=True,
)
def replace_segment(values: dict[str, Any], segment_id: int) -> Any:
    """Replace the name and the conditions of a segment.

    Runs that have been planned keep their recipients.
    """
    get_own(Segment, segment_id)
    node = read_node(values["conditions"])
    start_writing()
    segment = get_own(Segment, segment_id, to_change=True)
    check_if_match(SCHEMA, segment)
    services.save_segment(segment, values["name"], node, None)
    return segment


@bp.operation("DELETE /segments/<int:segment_id>", Scope.CLIENTS_WRITE, status=204)
def delete_segment(segment_id: int) -> Any:
    """Delete a segment that no unfinished mailing uses."""
    segment = get_own(Segment, segment_id, to_change=True)
    check_if_match(SCHEMA, segment)
    deletion.delete_segment(segment, utcnow(), current_actor())
    return "", 204


@bp.operation("GET /segments/<int:segment_id>/count", Scope.CLIENTS_READ, gives=SegmentCount, errors=(422,))
def count_segment(segment_id: int) -> Any:
    """Count the clients in a segment."""
    return measure(get_own(Segment, segment_id).conditions)


@bp.operation(
    "POST /segments/count",
    Scope.CLIENTS_READ,
    takes=ConditionsInput,
    gives=SegmentCount,
    starts_reading=True,
    tests=True,
)
def count_conditions(values: dict[str, Any]) -> Any:
    """Count the clients who meet conditions, without saving them."""
    return measure(values["conditions"])


@bp.operation(
    "GET /segments/<int:segment_id>/clients",
    Scope.CLIENTS_READ,
    query=PageQuery,
    gives=list_of(ClientSchema),
)
def list_segment_clients(query: dict[str, Any], segment_id: int) -> Any:
    """List the clients in a segment, oldest first."""
    conditions = get_own(Segment, segment_id).conditions
    with limit_time():
        statement = queries.select_members(read_node(conditions), find_viewpoint())
        listing = list_after(statement, ORDERS["added"], query.get("after"), query["limit"])
    return page_of(listing, describe_clients(listing))


def measure(conditions: Any) -> dict[str, Any]:
    """Return how many clients meet conditions, for the schema."""
    with limit_time():
        reach = queries.measure_reach(read_node(conditions), find_viewpoint())
    return {
        "count": reach.count.number,
        "is_exact": reach.count.is_exact,
        "suppressed": reach.suppressed,
        "total": reach.total.number,
    }


def read_node(conditions: Any) -> Node:
    """Return checked conditions; raises InvalidField with the pointer to the invalid one."""
    try:
        return read_segment(conditions, find_viewpoint())
    except InvalidConditions as error:
        raise InvalidField(
            f"/conditions{find_pointer(conditions, error.values.get('number'))}", error
        ) from error


def find_viewpoint() -> Viewpoint:
    return Viewpoint.of(current_owner(), utcnow())
