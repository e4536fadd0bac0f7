"""Pages that export the user's data, delete the account, and cancel the deletion."""

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
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit, queue
from skymailing.auth import deletion_requests
from skymailing.auth.export.files import export_account
from skymailing.auth.forms import PasswordAndCodeForm
from skymailing.auth.services import LastAdmin
from skymailing.auth.views.confirmation import confirm_identity
from skymailing.auth.views.session import end_session
from skymailing.auth.views.throttling import limit_password_checks, signed_in_account
from skymailing.clock import utcnow
from skymailing.extensions import db, limiter
from skymailing.models import AuditAction, User
from skymailing.security import is_partial_request
from skymailing.web.error_texts import explain

bp = Blueprint("account", __name__, url_prefix="/auth/profile")

# Pages that a user can still open while the account's deletion is pending, including those for visitors.
OPEN_BLUEPRINTS = {
    *("account", "archive", "blog", "health", "letters", "metrics", "preferences", "signup", "syndication"),
    "unsubscribe",
}
OPEN_ENDPOINTS = {
    *("static", "auth.logout", "brand.colors", "brand.fonts", "brand.logo", "home.language"),
    *("messages.picture", "messages.starter_picture"),
}


@bp.before_app_request
def redirect_while_deletion_pending() -> ResponseReturnValue | None:
    """Redirect a user whose account is scheduled for deletion to the page that can cancel it."""
    if request.endpoint is None or request.endpoint in OPEN_ENDPOINTS or request.blueprint in OPEN_BLUEPRINTS:
        return None
    if not current_user.is_authenticated or current_user.deletion_at is None:
        return None
    target = url_for("account.leaving")
    if is_partial_request():
        return current_app.response_class(status=403, headers={"HX-Redirect": target})
    return redirect(target)


@bp.after_request
def forbid_storing(response: Response) -> Response:
    """Keep pages and files with personal data out of all caches."""
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/export.zip")
@login_required
@limiter.limit("10 per hour", key_func=signed_in_account)
def export() -> Response:
    """Download all data of the account."""
    audit.record_export(AuditAction.ACCOUNT_EXPORTED, audit.current_actor(), current_user)
    db.session.commit()
    user = db.session.get_one(User, current_user.id)
    name = f"skymailing-{utcnow():%Y-%m-%d}.zip"
    archive = export_account(user, utcnow(), user.locale or str(get_locale()))
    response = current_app.response_class(stream_with_context(archive), mimetype="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@bp.route("/delete", methods=["GET", "POST"])
@login_required
@limit_password_checks
def delete() -> ResponseReturnValue:
    """Show what will be deleted; schedule the deletion once the password and the code are confirmed."""
    form = PasswordAndCodeForm()
    if not (form.validate_on_submit() and request_deletion(form)):
        days = current_app.config["ACCOUNT_GRACE_DAYS"]
        counts = deletion_requests.count_account_data(current_user)
        return render_template("account/delete.html", form=form, counts=counts, days=days)
    end_session()
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(
        _("You have been signed out. Your account will be deleted on the date in the email we sent you."),
        "success",
    )
    return redirect(url_for("auth.login"))


def request_deletion(form: PasswordAndCodeForm) -> bool:
    """Request the deletion; if it is rejected, add an error to the field and return False."""
    user = confirm_identity(form)
    if user is None:
        return False
    try:
        deletion_requests.request_deletion(user, utcnow(), audit.current_actor())
    except LastAdmin as error:
        db.session.rollback()  # so that a recovery code can be used again
        form.current_password.errors = [explain(error)]
        return False
    return True


@bp.route("/leaving", methods=["GET", "POST"])
@login_required
def leaving() -> ResponseReturnValue:
    """Show when the account will be deleted; cancel the deletion on POST."""
    user = db.session.get_one(User, current_user.id)
    if request.method == "POST":
        try:
            deletion_requests.cancel_deletion(user, utcnow(), audit.current_actor())
        except deletion_requests.TooLate as error:
            db.session.rollback()
            flash(explain(error), "danger")
            return redirect(url_for("account.leaving"))
        db.session.commit()
        flash(
            _("Your account will not be deleted. Its mailings are paused; resume the ones you need."),
            "success",
        )
        return redirect(url_for("home.index"))
    if user.deletion_at is None:
        return redirect(url_for("auth.profile"))
    return render_template("account/leaving.html", user=user)
