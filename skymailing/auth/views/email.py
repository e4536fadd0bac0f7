"""Pages that change the account's address, confirmed by a link sent to the new one."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import queue
from skymailing.auth import services
from skymailing.auth.forms import CurrentPasswordForm, NewEmailForm
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.confirmation import confirm_password
from skymailing.auth.views.throttling import (
    constant_response_time,
    limit_new_email_checks,
    limit_password_checks,
)
from skymailing.extensions import db
from skymailing.tokens import BadToken


@bp.route("/profile/email", methods=["GET", "POST"])
@login_required
@limit_password_checks
def new_email() -> ResponseReturnValue:
    """Send a link to the new address; the response does not reveal whether the address is taken."""
    form = NewEmailForm()
    if form.validate_on_submit() and (user := confirm_password(form.current_password)):
        with constant_response_time():
            services.request_new_email(user, form.email.data)
            db.session.commit()
            queue.enqueue("send_outbox")
        return render_template("auth/new_email_requested.html", email=form.email.data)
    return render_template("auth/new_email.html", form=form)


@bp.route("/email/<token>", methods=["GET", "POST"])
@limit_new_email_checks
def confirm_email(token: str) -> ResponseReturnValue:
    """Show a button on GET, since mail scanners follow links; change the address on POST.

    A visitor who is not signed in must enter the account's password: someone else may have entered the
    address for their account, so the mailbox's owner must not confirm it unknowingly.
    """
    form = CurrentPasswordForm()
    try:
        user, email = services.read_new_email_token(token)
        old = user.email
        if current_user.is_authenticated and current_user.id == user.id:
            del form.current_password
        if not (form.validate_on_submit() and has_password(form, old)):
            return render_template("auth/confirm_email.html", old=old, email=email, form=form)
        services.change_email(token)
    except (BadToken, services.AddressTaken) as error:
        db.session.rollback()
        reason = error.reason if isinstance(error, BadToken) else "invalid"
        return render_template("auth/confirm_email_failed.html", reason=reason), 410
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("Your email address has been changed."), "success")
    return redirect(url_for("auth.profile" if current_user.is_authenticated else "auth.login"))


def has_password(form: CurrentPasswordForm, email: str) -> bool:
    """Return whether the form needs no password or contains the password of the account with this address."""
    if "current_password" not in form or services.authenticate(email, form.current_password.data):
        return True
    form.current_password.errors = [_("This is not your account password.")]
    return False
