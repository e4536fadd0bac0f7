"""Reports: the results for a period, by day and by mailing."""

from typing import Any
from zoneinfo import ZoneInfo

from flask import Response

from skymailing.api.problems import FieldError, InvalidFields
from skymailing.api.schemas.reports import ReportQuery, ReportSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_owner
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.mailings import find_readable as find_mailing
from skymailing.api.views.responses import json_response
from skymailing.clients.search.matching import clean_search
from skymailing.clock import utcnow
from skymailing.reports import aggregates
from skymailing.reports.export import export_report
from skymailing.reports.periods import InvalidPeriod, choose_period
from skymailing.reports.queries import make_report
from skymailing.web.error_texts import explain

bp = Resource("reports", "Results by day and by mailing.")

MAX_MAILINGS_LISTED = 100


@bp.operation("GET /report", Scope.REPORTS_READ, query=ReportQuery, gives=ReportSchema, errors=(404,))
def get_report(query: dict[str, Any]) -> Response:
    """Get the results for a period, by default the last 30 days.

    Days are in the owner's time zone.
    """
    owner = current_owner()
    mailing = find_mailing(query["mailing"]) if "mailing" in query else None
    scope = aggregates.Scope(owner.id, mailing.id if mailing else None)
    try:
        period = choose_period(query.get("since"), query.get("until"), ZoneInfo(owner.timezone), utcnow())
    except InvalidPeriod as error:
        raise InvalidFields([FieldError("", error.code, explain(error), "until")]) from error
    report = make_report(scope, period, MAX_MAILINGS_LISTED, clean_search(query.get("q", "")))
    return json_response(export_report(report) | {"mailing_count": report.mailing_count})
