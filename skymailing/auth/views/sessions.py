"""Pages of auth: where one is signed in."""

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required

from skymailing.auth import devices
from skymailing.auth.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.extensions import db


@bp.get("/profile/sessions")
@login_required
def sessions() -> ResponseReturnValue:
    """List the devices that are signed in."""
    found = devices.list_sessions(current_user, utcnow())
    return render_template("auth/sessions.html", sessions=found, seen=devices.last_seen(found))


@bp.post("/profile/sessions/<int:session_id>/end")
@login_required
def end_one(session_id: int) -> ResponseReturnValue:
    """Sign one of the own devices out."""
    if not devices.end_session_of(current_user, session_id):
        abort(404)
    db.session.commit()
    flash(_("That device is signed out."), "success")
    return redirect(url_for("auth.sessions"))


@bp.post("/profile/sessions/end-others")
@login_required
def end_others() -> ResponseReturnValue:
    """Sign all devices out but this one."""
    count = devices.end_other_sessions(current_user, current_user.session_key)
    db.session.commit()
    if count:
        flash(
            ngettext("%(num)d other device is signed out.", "%(num)d other devices are signed out.", count),
            "success",
        )
    else:
        flash(_("You are signed in nowhere else."), "info")
    return redirect(url_for("auth.sessions"))
