"""Pages of auth: another address for the account, confirmed by a letter to it."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import queue
from skymailing.auth import services
from skymailing.auth.forms import NewEmailForm
from skymailing.auth.throttling import even_time, limit_password_checks
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.passwords import is_present_password, who_is_asked
from skymailing.extensions import db
from skymailing.security import BadToken


@bp.route("/profile/email", methods=["GET", "POST"])
@login_required
@limit_password_checks
def new_email() -> ResponseReturnValue:
    """Ask for the new address and the password, and mail a link there; says the same if it is taken."""
    form = NewEmailForm()
    if form.validate_on_submit():
        user, known_hash = who_is_asked()
        if is_present_password(form.current_password, known_hash):
            with even_time():
                services.request_new_email(user, form.email.data)
                db.session.commit()
                queue.enqueue("send_outbox")
            return render_template("auth/new_email_requested.html", email=form.email.data)
    return render_template("auth/new_email.html", form=form)


@bp.route("/email/<token>", methods=["GET", "POST"])
def confirm_email(token: str) -> ResponseReturnValue:
    """Show a button on GET, as mail scanners open links; POST changes the address."""
    try:
        if request.method != "POST":
            user, email = services.user_of_new_email(token)
            return render_template("auth/confirm_email.html", old=user.email, email=email)
        services.change_email(token)
    except (BadToken, services.AddressTaken) as error:
        db.session.rollback()
        reason = error.reason if isinstance(error, BadToken) else "invalid"
        return render_template("auth/confirm_email_failed.html", reason=reason), 410
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("The address of your account is changed."), "success")
    return redirect(url_for("auth.profile" if current_user.is_authenticated else "auth.login"))
