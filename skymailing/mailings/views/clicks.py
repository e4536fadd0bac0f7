"""The clicks of a run: per link, by whom, and as a file."""

from flask import abort, render_template, request
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit
from skymailing.extensions import db
from skymailing.mailings import click_queries, run_queries
from skymailing.mailings.views.blueprint import bp
from skymailing.models import AuditAction, Run, RunLink
from skymailing.tracking.click_counts import to_time
from skymailing.web.csv import csv_response
from skymailing.web.ids import read_id


@bp.get("/runs/<int:run_id>/clicks")
@login_required
def clicks(run_id: int) -> str:
    """Show how often the links of a run were followed, and by whom; `link` shows one link."""
    run = get_tracked_run(run_id)
    number = read_id(request.args.get("link")) or None
    chosen = db.session.get(RunLink, (run_id, number)) if number else None
    if number and chosen is None:
        abort(404)
    return render_template(
        "mailings/clicks.html",
        mailing=run.mailing,
        run=run,
        clicks=click_queries.count_clicks(run),
        chosen=chosen,
        people=click_queries.list_people(run_id, number, request.args.get("cursor")),
        to_time=to_time,
    )


@bp.get("/runs/<int:run_id>/clicks.csv")
@login_required
def clicks_csv(run_id: int) -> Response:
    """Download who followed which link."""
    run = get_tracked_run(run_id)
    audit.record(AuditAction.LOG_EXPORTED, audit.current_actor(), run.mailing)
    db.session.commit()
    return csv_response(click_queries.export_clicks(run_id), f"clicks-{run_id}.csv")


def get_tracked_run(run_id: int) -> Run:
    """Return the user's run, or abort with 404 if nothing was recorded in it."""
    run = run_queries.find_run(current_user, run_id)
    if run is None or not (run.track_clicks or run.track_opens != "off"):
        abort(404)
    return run
