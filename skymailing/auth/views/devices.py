"""Pages that list the devices on which the user is signed in, and sign them out."""

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required

from skymailing.auth import devices
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.session import end_other_sessions
from skymailing.clock import utcnow
from skymailing.extensions import db


@bp.get("/profile/sessions")
@login_required
def sessions() -> ResponseReturnValue:
    """List the devices that are signed in."""
    found = devices.list_sessions(current_user, utcnow())
    return render_template("auth/sessions.html", sessions=found, last_seen=devices.find_last_uses(found))


@bp.post("/profile/sessions/<int:session_id>/end")
@login_required
def end_one(session_id: int) -> ResponseReturnValue:
    """Sign one device out."""
    if not devices.end_session_by_id(current_user, session_id):
        abort(404)
    db.session.commit()
    flash(_("The device has been signed out."), "success")
    return redirect(url_for("auth.sessions"))


@bp.post("/profile/sessions/end-others")
@login_required
def end_others() -> ResponseReturnValue:
    """Sign out all devices but this one."""
    count = end_other_sessions(current_user)
    db.session.commit()
    if count:
        flash(
            ngettext(
                "%(num)d other device has been signed out.",
                "%(num)d other devices have been signed out.",
                count,
            ),
            "success",
        )
    else:
        flash(_("You are not signed in on any other device."), "info")
    return redirect(url_for("auth.sessions"))
