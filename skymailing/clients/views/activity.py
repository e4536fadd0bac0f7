"""How many clients are active, quiet or new: the list loads the numbers after it is shown."""

from flask import render_template, request
from flask_login import current_user, login_required

from skymailing.clients.activity import count_activities, counts_clicks
from skymailing.clients.forms import ACTIVITY_FILTERS
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.clients import read_filter
from skymailing.clock import utcnow
from skymailing.db.engine import starts_reading


@bp.get("/activity")
@login_required
@starts_reading
def activity() -> str:
    """Return the filter by activity with its numbers, which the list loads after it is shown."""
    if not counts_clicks(current_user.id):
        return ""
    return render_template(
        "clients/_activity.html",
        filters=ACTIVITY_FILTERS,
        counts=count_activities(current_user, utcnow()),
        chosen=read_filter(request.args),
        sort=request.args.get("sort", ""),
    )
