"""A run's page: its results, its timeline and the mail servers' replies."""

from flask import abort, render_template
from flask_login import current_user, login_required

from skymailing import clock
from skymailing.archive.queries import find_entry
from skymailing.archive.services import find_obstacle
from skymailing.mailings import log_queries, queries, run_queries
from skymailing.mailings.comparison import compare
from skymailing.mailings.result_text import describe_comparison, explain_cause, format_share
from skymailing.mailings.results import sum_up_run
from skymailing.mailings.views.blueprint import bp
from skymailing.models import DeliveryState
from skymailing.web.labels import state_tone

RECENT_ATTEMPTS = 8


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
    return render_template(
        "mailings/run.html",
        mailing=mailing,
        run=selected_run,
        ledger=ledger,
        results=sum_up_run(ledger),
        comparisons=[describe_comparison(row) for row in compare(ledger, mailing.owner_id, clock.utcnow())],
        explain_cause=explain_cause,
        format_share=format_share,
        published=find_entry(run_id),
        can_be_published=find_obstacle(selected_run) is None,
        states=list(DeliveryState),
        refused_states=[DeliveryState.FAILED, DeliveryState.DEFERRED, DeliveryState.UNKNOWN],
        tones={state: state_tone(state) for state in DeliveryState},
        timeline=run_queries.build_timeline(selected_run),
        top_refusals=run_queries.list_top_refusals(selected_run),
        domains=run_queries.list_worst_domains(selected_run),
        attempts=log_queries.list_attempts(log_filter, None, RECENT_ATTEMPTS),
    )
