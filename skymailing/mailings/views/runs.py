"""A run's page: its results, its timeline and the mail servers' replies."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import clock
from skymailing.archive.queries import find_entry
from skymailing.archive.services import find_obstacle
from skymailing.dispatch import commit_and_dispatch
from skymailing.extensions import db
from skymailing.mailings import log_queries, queries, run_queries, variant_choice
from skymailing.mailings.errors import MailingError
from skymailing.mailings.result_text import describe_comparisons, explain_cause, format_share
from skymailing.mailings.results import sum_up_run
from skymailing.mailings.variant_results import describe_test
from skymailing.mailings.variants import letter_of
from skymailing.mailings.views.blueprint import bp
from skymailing.models import DeliveryState
from skymailing.web.error_texts import explain
from skymailing.web.ids import read_id
from skymailing.web.labels import state_tone


@bp.get("/runs/<int:run_id>")
@login_required
def run(run_id: int) -> str:
    """Show one run of a mailing."""
    selected_run = run_queries.find_run(current_user, run_id)
    if selected_run is None:
        abort(404)
    mailing = selected_run.mailing
    log_filter = log_queries.LogFilter(owner_id=mailing.owner_id, mailing_id=mailing.id, run_id=run_id)
    (ledger,) = queries.count_runs([selected_run])
    domains = run_queries.list_worst_domains(selected_run)
    return render_template(
        "mailings/run.html",
        mailing=mailing,
        run=selected_run,
        ledger=ledger,
        results=sum_up_run(ledger),
        all_delivered=ledger.was_delivered,
        comparisons=describe_comparisons(ledger, clock.utcnow()),
        explain_cause=explain_cause,
        format_share=format_share,
        published=find_entry(run_id),
        can_be_published=find_obstacle(selected_run) is None,
        states=list(DeliveryState),
        refused_states=run_queries.list_refused_states(domains),
        tones={state: state_tone(state) for state in DeliveryState},
        timeline=run_queries.build_timeline(selected_run),
        top_refusals=run_queries.list_top_refusals(selected_run),
        domains=domains,
        attempts=log_queries.list_recent_attempts(log_filter),
        test=describe_test(selected_run, ledger, clock.utcnow()),
    )


@bp.post("/runs/<int:run_id>/winner")
@login_required
def choose_winner(run_id: int) -> Response:
    """Send a variant to the clients outside the test's sample."""
    selected_run = run_queries.find_run(current_user, run_id)
    if selected_run is None:
        abort(404)
    number = read_id(request.form.get("variant"))
    page = url_for("mailings.run", run_id=run_id, _anchor="test")
    now = clock.utcnow()
    try:
        variant_choice.choose_winner(selected_run, number, now)
    except MailingError as error:
        db.session.rollback()
        flash(explain(error), "warning")
        return redirect(page)
    commit_and_dispatch(selected_run.mailing, now)
    flash(_("The other clients get variant %(variant)s.", variant=letter_of(number)), "success")
    return redirect(page)
