"""Clicks in a run: per link, by person and time, on the letter, as a file, and as a segment."""

from collections.abc import Sequence

from flask import Response as FlaskResponse
from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit
from skymailing.delivery.rendering.letter import TemplateError
from skymailing.extensions import db
from skymailing.mailings import click_queries, run_queries
from skymailing.mailings.click_devices import list_devices
from skymailing.mailings.click_hours import count_hours
from skymailing.mailings.click_map import read_map
from skymailing.mailings.click_segments import Clicked, make_segment
from skymailing.mailings.click_variants import VariantClicks, is_text, list_variants
from skymailing.mailings.follow_up import can_follow_up
from skymailing.mailings.queries import count_runs
from skymailing.mailings.result_text import format_share
from skymailing.mailings.variants import letter_of
from skymailing.mailings.views.blueprint import bp
from skymailing.messages.error_texts import explain_template_error
from skymailing.models import AuditAction, Run, RunLink
from skymailing.quotas.checks import LimitReached
from skymailing.tracking.click_counts import to_time
from skymailing.web.csv import csv_response
from skymailing.web.error_texts import explain
from skymailing.web.ids import read_id
from skymailing.web.letter_pages import seal_frame
from skymailing.web.user_turns import takes_turns


@bp.get("/runs/<int:run_id>/clicks")
@login_required
def clicks(run_id: int) -> str:
    """Show how many times the links of a run were followed, and by whom.

    `link` shows one link, and `variant` the letters of one variant instead of the sums of all.
    """
    run = get_tracked_run(run_id)
    variants = list_variants(run)
    variant = read_variant(variants)
    number = read_id(request.args.get("link")) or None
    chosen = db.session.get(RunLink, (run_id, number)) if number else None
    if number and chosen is None:
        abort(404)
    counts = click_queries.count_clicks(run, variant)
    (ledger,) = count_runs([run])
    people = click_queries.list_people(run, number, request.args.get("cursor"), variant)
    return render_template(
        "mailings/clicks.html",
        mailing=run.mailing,
        run=run,
        clicks=counts,
        delivered=ledger.outcomes.delivered,
        hours=count_hours(run, variant) if counts.people and not run.details_removed_at else (),
        devices=list_devices(run) if not variant else [],
        format_share=format_share,
        chosen=chosen,
        people=people,
        names=click_queries.find_names(current_user.id, (row.Delivery.client_id for row in people)),
        variants=variants,
        variant=variant,
        letter_of=letter_of,
        is_text=is_text(run, variant),
        can_follow_up=can_follow_up(run.mailing, run),
        to_time=to_time,
    )


@bp.get("/runs/<int:run_id>/clicks.csv")
@login_required
def clicks_csv(run_id: int) -> Response:
    """Download who followed which link."""
    run = get_tracked_run(run_id)
    has_variants = run.test_ends_at is not None
    audit.record(AuditAction.LOG_EXPORTED, audit.current_actor(), run.mailing)
    db.session.commit()
    return csv_response(
        click_queries.export_clicks(run_id, has_variants=has_variants), f"clicks-{run_id}.csv"
    )


@bp.get("/runs/<int:run_id>/clicks/letter")
@login_required
@takes_turns
def click_map(run_id: int) -> Response:
    """Return the run's letter, or a variant, with the number of people next to each link, for a frame."""
    run = get_tracked_run(run_id)
    variant = read_variant(list_variants(run))
    letter = read_map(run, click_queries.count_clicks(run, variant), variant) or abort(404)
    db.session.rollback()  # no transaction is open while the letter is rendered
    try:
        return seal_frame(FlaskResponse(letter.render(), mimetype="text/html"))
    except TemplateError as error:
        return seal_frame(FlaskResponse(explain_template_error(error), mimetype="text/plain"))


@bp.post("/runs/<int:run_id>/clicks/segment")
@login_required
def click_segment(run_id: int) -> ResponseReturnValue:
    """Make a segment of those who clicked in the run's mailing, or of those who did not, and open it."""
    run = get_tracked_run(run_id)
    which = request.form.get("clicked", "")
    if which not in set(Clicked) or not run.track_clicks:
        abort(400)
    try:
        segment = make_segment(run.mailing, Clicked(which))
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "danger")
        return redirect(url_for("mailings.clicks", run_id=run_id))
    db.session.commit()
    return redirect(url_for("segments.show", segment_id=segment.id))


def read_variant(variants: Sequence[VariantClicks]) -> int:
    """Return the variant that the request asks for, 0 for all; aborts with 404 if the test has none such."""
    number = read_id(request.args.get("variant")) if variants else 0
    if number and all(variant.number != number for variant in variants):
        abort(404)
    return number


def get_tracked_run(run_id: int) -> Run:
    """Return the user's run, or abort with 404 if it recorded neither clicks nor opens."""
    run = run_queries.find_run(current_user, run_id)
    if run is None or not (run.track_clicks or run.track_opens != "off"):
        abort(404)
    return run
