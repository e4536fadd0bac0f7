"""Delete a segment, and undo the deletion."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Segment
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.segments import deletion, queries
from skymailing.segments.views.blueprint import bp
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo


@bp.route("/<int:segment_id>/delete", methods=["GET", "POST"])
@login_required
def delete(segment_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a segment that no unfinished mailing uses."""
    segment = get_own(Segment, segment_id)
    refusal = None
    try:
        deletion.check_unused(segment.id)
        if request.method == "POST":
            removal = deletion.delete_segment(segment, utcnow(), current_actor())
            db.session.commit()
            flash_undo(_("Segment deleted."), url_for("segments.undo", removal_id=removal.id))
            return redirect(url_for("segments.index"))
    except deletion.SegmentInUse as error:
        refusal = explain(error)
    page = render_template(
        "segments/delete.html",
        segment=segment,
        refusal=refusal,
        mailings=queries.find_mailings(segment.id),
    )
    return page, 409 if refusal and request.method == "POST" else 200


@bp.post("/undo/<big:removal_id>")
@login_required
def undo(removal_id: int) -> ResponseReturnValue:
    """Restore a deleted segment."""
    try:
        segment = deletion.restore_segment(current_user.id, removal_id, utcnow(), current_actor())
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "danger")
        return redirect(url_for("segments.index"))
    if segment is None:
        abort(404)
    db.session.commit()
    flash(_("Segment restored."), "success")
    return redirect(url_for("segments.show", segment_id=segment.id))
