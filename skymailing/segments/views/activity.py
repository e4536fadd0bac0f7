"""Segments of active, quiet or new clients, saved from the list of clients."""

from flask import abort, flash, redirect, request, url_for
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing.delivery.audience.fields import Activity
from skymailing.extensions import db
from skymailing.quotas.checks import LimitReached
from skymailing.segments.activity import make_segment
from skymailing.segments.views.blueprint import bp
from skymailing.web.error_texts import explain


@bp.post("/activity")
@login_required
def save_activity() -> Response:
    """Save a segment of the active, quiet or new clients, or open the existing one."""
    chosen = request.form.get("activity", "")
    if chosen not in set(Activity):
        abort(400)
    try:
        segment = make_segment(current_user.id, Activity(chosen))
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "warning")
        return redirect(url_for("clients.index", activity=chosen))
    db.session.commit()
    return redirect(url_for("segments.show", segment_id=segment.id))
