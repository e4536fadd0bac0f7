"""The report for a period, as a page and as a CSV file."""

from flask import Blueprint, abort, render_template, request
from flask_login import current_user, login_required
from sqlalchemy import select
from werkzeug.wrappers import Response

from skymailing import audit, clock
from skymailing.clients.search.matching import clean_search
from skymailing.extensions import db
from skymailing.mailings import log_queries
from skymailing.mailings.queries import find_default_tracking
from skymailing.mailings.result_text import (
    describe_change,
    describe_revenue_change,
    explain_cause,
    format_share,
)
from skymailing.models import AuditAction, DeliveryState, Mailing
from skymailing.reports import clicks, export, growth, queries, sends
from skymailing.reports.aggregates import Scope
from skymailing.reports.forms import ReportForm
from skymailing.reports.periods import Period, list_usual_periods
from skymailing.web.csv import csv_response
from skymailing.web.i18n import get_user_zone
from skymailing.web.ids import read_id

bp = Blueprint("reports", __name__, url_prefix="/reports")
BLUEPRINTS = (bp,)

MAILINGS_SHOWN = 100
ROWS_SHOWN = 7  # of a table; the rest are folded
# The states that a report counts, with the tones of their bars, the same as on a run's page.
STATE_TONES = {
    DeliveryState.SENT: "good",
    DeliveryState.FAILED: "bad",
    DeliveryState.UNKNOWN: "doubt",
    DeliveryState.EXPIRED: "waiting",
    DeliveryState.SUPPRESSED: "gone",
    DeliveryState.CANCELLED: "quiet",
}


@bp.get("/")
@login_required
def index() -> str:
    """Show the report for the requested period, by default the last 30 days."""
    form, mailing, period = read_filters()
    query = clean_search(request.args.get("q", ""))
    report = queries.make_report(make_scope(mailing), period, MAILINGS_SHOWN, query) if period else None
    if period:
        form.since.data, form.until.data = period.since, period.until
        form.since.raw_data = form.until.raw_data = None
    before = period.before if period and report and not report.totals.is_empty else None
    arguments = read_arguments()
    return render_template(
        "reports/index.html",
        form=form,
        mailing=mailing,
        report=report,
        before=before,
        earlier=queries.read_results(make_scope(mailing), before) if before else None,
        growth=measure_growth(report) if report and not mailing else None,
        growth_limit=growth.READ_LIMIT,
        listed_total=queries.add_up(figures for _id, _name, figures in report.mailings) if report else None,
        query=query,
        arguments=arguments,
        usual_periods=list_usual_periods(get_user_zone(), clock.utcnow()),
        states=list(STATE_TONES),
        tones={state.value: tone for state, tone in STATE_TONES.items()},
        counts_clicks=counts_clicks(mailing, report) if report else False,
        fewest_clicks=clicks.FEWEST,
        sends=sends.list_sends(make_scope(mailing), period) if period else [],
        fewest_letters=sends.MIN_PLANNED,
        describe_change=describe_change,
        describe_revenue_change=describe_revenue_change,
        rows_shown=ROWS_SHOWN,
        explain_cause=explain_cause,
        format_share=format_share,
    )


@bp.get("/clicks")
@login_required
def show_clicks() -> str:
    """Show which links people followed in a period, and when; loaded by the report."""
    _form, mailing, period = read_filters()
    if period is None:
        abort(400)
    arguments = read_arguments()
    found = clicks.read_clicks(make_scope(mailing), period)
    return render_template(
        "reports/clicks.html", clicks=found, mailing=mailing, period=period, arguments=arguments
    )


@bp.get("/report.csv")
@login_required
def csv() -> Response:
    """Download the counts for each mailing on each day."""
    _form, mailing, period = read_filters()
    if period is None:
        abort(400)
    name, scope = f"report-{period.since}-{period.until}.csv", make_scope(mailing)
    audit.record_export(AuditAction.REPORT_EXPORTED, audit.current_actor(), mailing or current_user)
    db.session.commit()
    return csv_response(export.export_rows(scope, period), name)


def counts_clicks(mailing: Mailing | None, report: queries.Report) -> bool:
    """Return whether clicks are counted in the mailing, or in the user's newest one."""
    if report.totals.counts_clicks:
        return True
    return (
        mailing.track_clicks if mailing else bool(find_default_tracking(current_user.id).get("track_clicks"))
    )


def measure_growth(report: queries.Report) -> growth.Growth | None:
    """Return how the user's list has grown; None if that is unknown, or nothing has changed."""
    measured = growth.measure_growth(current_user.id, report.period, report.days, clock.utcnow())
    return None if measured is None or measured.is_empty else measured


def make_scope(mailing: Mailing | None) -> Scope:
    return Scope(current_user.id, mailing.id if mailing else None)


def read_arguments() -> dict[str, str]:
    """Return the filters of the request, for links to the same report."""
    return {key: value for key, value in request.args.items() if value}


def read_filters() -> tuple[ReportForm, Mailing | None, Period | None]:
    """Return the form, the chosen mailing, and the period if it is valid."""
    choices = log_queries.list_mailing_choices(current_user, read_id(request.args.get("mailing")))
    form = ReportForm(choices, clock.utcnow(), formdata=request.args)
    period = form.read_period()
    mailing = None
    if form.mailing.data:
        own = select(Mailing).where(Mailing.id == form.mailing.data, Mailing.owner_id == current_user.id)
        mailing = db.session.scalar(own)
        if mailing is None:
            abort(404)
    return form, mailing, period
