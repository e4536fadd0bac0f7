"""The results of a run by mailbox provider, by segment and tag, and by hour."""

from flask import abort, render_template
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit, clock
from skymailing.extensions import db
from skymailing.mailings import run_queries
from skymailing.mailings.breakdowns import EXPORTED, break_down, export_rows
from skymailing.mailings.click_variants import list_variants
from skymailing.mailings.result_text import NUMBER_TEXTS, format_share
from skymailing.mailings.variants import letter_of
from skymailing.mailings.views.blueprint import bp
from skymailing.mailings.views.clicks import read_variant
from skymailing.models import AuditAction, Run
from skymailing.web.csv import csv_response
from skymailing.web.i18n import get_user_zone


@bp.get("/runs/<int:run_id>/breakdown")
@login_required
def breakdown(run_id: int) -> str:
    """Show the results of a run, or of one `variant`; other pages load it when the user scrolls to it."""
    run = get_own_run(run_id)
    variant = read_variant(list_variants(run))
    return render_template(
        "mailings/breakdown.html",
        mailing=run.mailing,
        run=run,
        variant=variant,
        letter_of=letter_of,
        breakdowns=break_down(run, get_user_zone(), clock.utcnow(), variant),
        number_texts=NUMBER_TEXTS,
        format_share=format_share,
    )


@bp.get("/runs/<int:run_id>/breakdown.csv")
@login_required
def breakdown_csv(run_id: int) -> Response:
    """Download the same results, with more domains and hours than the page shows."""
    run = get_own_run(run_id)
    audit.record_export(AuditAction.REPORT_EXPORTED, audit.current_actor(), run.mailing)
    db.session.commit()
    found = break_down(run, get_user_zone(), clock.utcnow(), read_variant(list_variants(run)), EXPORTED)
    return csv_response(export_rows(found), f"results-{run_id}.csv")


def get_own_run(run_id: int) -> Run:
    """Return the user's run, or abort with 404."""
    return run_queries.find_run(current_user, run_id) or abort(404)
