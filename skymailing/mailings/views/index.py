"""The list of mailings."""

from flask import render_template, request
from flask_login import current_user, login_required

from skymailing.mailings import queries
from skymailing.mailings.latest_runs import count_latest_runs
from skymailing.mailings.result_text import format_share
from skymailing.mailings.state_text import explain_state
from skymailing.mailings.views.blueprint import bp
from skymailing.models import MailingState


@bp.get("/")
@login_required
def index() -> str:
    """List the user's mailings."""
    query = request.args.get("q", "").replace("\0", "").strip()[:200]
    state = request.args.get("state", "")
    sort = request.args.get("sort", "")
    page = queries.list_mailings(
        current_user,
        query,
        MailingState(state) if state in set(MailingState) else None,
        sort if sort in queries.SORTS else queries.DEFAULT_SORT,
        request.args.get("cursor"),
    )
    return render_template(
        "mailings/index.html",
        page=page,
        latest_runs=count_latest_runs([mailing.id for mailing in page]),
        query=query,
        state=state,
        sort=sort or queries.DEFAULT_SORT,
        states=list(MailingState),
        explain_state=explain_state,
        format_share=format_share,
    )
