"""The logs: every attempt with the mail server's reply, for one mailing or all of a user's mailings."""

from flask import Blueprint, abort, render_template, request
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit
from skymailing.extensions import db
from skymailing.mailings import log_queries, run_queries
from skymailing.mailings.log_forms import LogFilterForm
from skymailing.mailings.log_queries import LogFilter, MailingChoices
from skymailing.mailings.views.blueprint import bp as mailings_bp
from skymailing.mailings.views.blueprint import get_own_mailing
from skymailing.models import AuditAction, Mailing, Outcome
from skymailing.settings.retention import retention_settings
from skymailing.web.csv import csv_response
from skymailing.web.ids import read_id

bp = Blueprint("logs", __name__, url_prefix="/logs")


@bp.get("/")
@login_required
def index() -> str:
    """Show the attempts of all the user's mailings."""
    return render_log(None)


@bp.get("/log.csv")
@login_required
def csv() -> Response:
    """Download all attempts that match the page's filter."""
    return download_log(None)


@mailings_bp.get("/<int:mailing_id>/log")
@login_required
def log(mailing_id: int) -> str:
    """Show the attempts of one mailing."""
    return render_log(get_own_mailing(mailing_id))


@mailings_bp.get("/<int:mailing_id>/log.csv")
@login_required
def log_csv(mailing_id: int) -> Response:
    """Download all attempts that match the page's filter."""
    return download_log(get_own_mailing(mailing_id))


def render_log(mailing: Mailing | None) -> str:
    form, log_filter = read_filter(mailing)
    form.validate()
    page = log_queries.list_attempts(log_filter, request.args.get("cursor"))
    # The download uses the filter, but not the page number.
    arguments = {key: value for key, value in request.args.items() if key != "cursor" and value}
    return render_template(
        "mailings/log.html",
        form=form,
        mailing=mailing,
        shown_run=run_queries.find_run(current_user, log_filter.run_id) if log_filter.run_id else None,
        page=page,
        arguments=arguments,
        is_filtered=arguments,
        has_test=log_queries.has_test(log_filter),
        has_removed_attempts=log_queries.has_removed_attempts(log_filter),
        has_letters=mailing is None and log_queries.has_letters(current_user.id),
        kept_days=retention_settings().run_details,
    )


def download_log(mailing: Mailing | None) -> Response:
    form, log_filter = read_filter(mailing)
    if not form.validate():
        abort(400)
    name = f"mailing-{mailing.id}-log.csv" if mailing else "log.csv"
    audit.record_export(AuditAction.LOG_EXPORTED, audit.current_actor(), mailing or current_user)
    db.session.commit()
    return csv_response(log_queries.export_attempts(log_filter), name)


def read_filter(mailing: Mailing | None) -> tuple[LogFilterForm, LogFilter]:
    """Return the form and its filter; fields with errors are ignored."""
    chosen = read_id(request.args.get("mailing"))
    choices = (
        MailingChoices([], is_complete=True)
        if mailing
        else log_queries.list_mailing_choices(current_user, chosen)
    )
    form = LogFilterForm(choices, formdata=request.args)
    form.validate()
    mailing_id = mailing.id if mailing else form.mailing.data or None
    if mailing is None and mailing_id is not None:
        get_own_mailing(mailing_id)

    run_id = form.run.data or None
    if run_id is not None:
        run = run_queries.find_run(current_user, run_id)
        if run is None or mailing is None or run.mailing_id != mailing.id:
            abort(404)

    since, until = form.utc_range()
    outcome = form.valid_data("outcome")
    return form, LogFilter(
        owner_id=current_user.id,
        mailing_id=mailing_id,
        run_id=run_id,
        outcome=Outcome(outcome) if outcome else None,
        since=since,
        until=until,
        address=form.valid_data("q") or "",
    )
