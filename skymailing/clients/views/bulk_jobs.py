"""Show the progress of an action on many clients, stop it, and undo it."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import hints
from skymailing.audit import current_actor
from skymailing.clients.bulk import services
from skymailing.clients.bulk.texts import describe_action, describe_job
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import UNFINISHED_BULK_STATES, BulkJob
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.responses import respond_if_changed


@bp.get("/bulk/<int:job_id>")
@login_required
def bulk_show(job_id: int) -> ResponseReturnValue:
    """Show the progress of an action on many clients; htmx requests get only that part."""
    job = get_own(BulkJob, job_id)
    is_partial = "HX-Request" in request.headers
    html = render_template(
        "clients/_bulk_progress.html" if is_partial else "clients/bulk_show.html",
        job=job,
        title=describe_action(job),
        result=describe_job(job),
        is_unfinished=job.state in UNFINISHED_BULK_STATES,
        can_be_undone=services.can_be_undone(job, utcnow()),
        error=explain(UserError(job.error)) if job.error else "",
    )
    return respond_if_changed(html) if is_partial else html


@bp.post("/bulk/<int:job_id>/stop")
@login_required
def bulk_stop(job_id: int) -> ResponseReturnValue:
    """Stop an action, without undoing its changes."""
    job = get_own(BulkJob, job_id)
    services.stop_job(job, current_user, utcnow(), current_actor())
    db.session.commit()
    return redirect(url_for("clients.bulk_show", job_id=job_id))


@bp.post("/bulk/<int:job_id>/undo")
@login_required
def bulk_job_undo(job_id: int) -> ResponseReturnValue:
    """Let a worker undo an action."""
    job = get_own(BulkJob, job_id)
    try:
        is_possible = services.undo_job(job, current_user, current_actor())
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "warning")
    else:
        db.session.commit()
        if is_possible:
            hints.hint_bulk_job(job_id)
        else:
            flash(_("This can no longer be undone."), "warning")
    return redirect(url_for("clients.bulk_show", job_id=job_id))
