"""Pages of one's own data: take it along, delete the account, or keep it after all."""

from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit, queue
from skymailing.auth import deletion_requests
from skymailing.auth.export import export_account
from skymailing.auth.forms import PasswordAndCodeForm
from skymailing.auth.services import LastAdmin
from skymailing.auth.sessions import end_session
from skymailing.auth.throttling import limit_password_checks
from skymailing.auth.views.passwords import prove
from skymailing.clock import utcnow
from skymailing.extensions import db, limiter
from skymailing.models import AuditAction, User

bp = Blueprint("account", __name__, url_prefix="/auth/profile")

# What somebody may do whose account is going to be deleted: look, take their data along, keep the account.
STAYS_OPEN = {"account", "blog", "health", "metrics", "syndication", "unsubscribe"}
STAYS_OPEN_TOO = {"static", "auth.logout", "home.language"}


@bp.before_app_request
def lead_to_the_choice() -> ResponseReturnValue | None:
    """Return a redirect for somebody whose account is going to be deleted."""
    if request.endpoint is None or request.endpoint in STAYS_OPEN_TOO or request.blueprint in STAYS_OPEN:
        return None
    if current_user.is_authenticated and current_user.deletion_at is not None:
        return redirect(url_for("account.leaving"))
    return None


@bp.after_request
def forbid_storing(response: Response) -> Response:
    """Keep pages and files with all of somebody's data out of every cache."""
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/export.zip")
@login_required
@limiter.limit("10 per hour")
def export() -> Response:
    """Download everything that is mine."""
    audit.record_reading(AuditAction.ACCOUNT_EXPORTED, audit.present_actor(), current_user)
    user = db.session.get_one(User, current_user.id)
    name = f"skymailing-{utcnow():%Y-%m-%d}.zip"
    response = current_app.response_class(
        stream_with_context(export_account(user, utcnow())), mimetype="application/zip"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@bp.route("/delete", methods=["GET", "POST"])
@login_required
@limit_password_checks
def delete() -> ResponseReturnValue:
    """Say what goes, ask for password and code, and let the account be deleted after its time of grace."""
    form = PasswordAndCodeForm()
    if not (form.validate_on_submit() and leave(form)):
        days = current_app.config["ACCOUNT_GRACE_DAYS"]
        belongings = deletion_requests.count_belongings(current_user)
        return render_template("account/delete.html", form=form, belongings=belongings, days=days)
    end_session()
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(
        _("You are signed out, and your account is going to be deleted. A letter tells you when."), "success"
    )
    return redirect(url_for("auth.login"))


def leave(form: PasswordAndCodeForm) -> bool:
    """Ask for the deletion; whether that worked, else with the reason beside the field."""
    user = prove(form)
    if user is None:
        return False
    try:
        deletion_requests.request_deletion(user, utcnow(), audit.present_actor())
    except LastAdmin:
        db.session.rollback()  # which gives a recovery code back
        form.current_password.errors = [_("You are the last administrator. Make somebody else one first.")]
        return False
    return True


@bp.route("/leaving", methods=["GET", "POST"])
@login_required
def leaving() -> ResponseReturnValue:
    """Say when the account is deleted, and let it be kept."""
    user = db.session.get_one(User, current_user.id)
    if request.method == "POST":
        try:
            deletion_requests.keep_account(user, utcnow(), audit.present_actor())
        except deletion_requests.TooLate:
            db.session.rollback()
            flash(_("It is too late: your account is being deleted."), "danger")
            return redirect(url_for("account.leaving"))
        db.session.commit()
        flash(_("Your account stays. Its mailings are paused; resume those that are to go on."), "success")
        return redirect(url_for("home.index"))
    if user.deletion_at is None:
        return redirect(url_for("auth.profile"))
    return render_template("account/leaving.html", user=user)
