"""The emails added with test keys, which workers catch instead of sending them."""

from typing import Any

from flask import abort

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.letters import CaughtLetterDetails, CaughtLetterQuery, CaughtLetterSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.pages import page_of
from skymailing.letters import caught

bp = Resource("test_letters", "Emails added with test keys, which are not sent.")


@bp.operation(
    "GET /test-letters",
    Scope.REPORTS_READ,
    query=CaughtLetterQuery,
    gives=list_of(CaughtLetterSchema),
)
def list_test_letters(query: dict[str, Any]) -> Any:
    """List the last emails added with test keys, oldest first."""
    access = current_access()
    statement = caught.select_caught(access.owner_id, query.get("email", ""), query.get("delivery_id"))
    return page_of(list_after(statement, caught.ORDER, query.get("after"), query["limit"]))


@bp.operation("GET /test-letters/<big:caught_id>", Scope.REPORTS_READ, gives=CaughtLetterDetails)
def get_test_letter(caught_id: int) -> Any:
    """Get an email added with a test key, and its source."""
    letter = caught.find_caught(current_access().owner_id, caught_id) or abort(404)
    described = {name: getattr(letter, name) for name in CaughtLetterSchema().fields}
    return described | {"source": letter.source.decode("utf-8", "replace")}
