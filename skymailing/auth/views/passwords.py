"""Pages of auth: a forgotten password, and the profile."""

from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from wtforms import Field

from skymailing import queue
from skymailing.auth import services, two_factor
from skymailing.auth.forms import (
    NewPasswordForm,
    PasswordAndCodeForm,
    PasswordForm,
    ProfileForm,
    ResetRequestForm,
)
from skymailing.auth.sessions import LETTER_TO, is_remembered, renew_session
from skymailing.auth.throttling import (
    even_time,
    limit_letters,
    limit_letters_by_address,
    limit_password_checks,
)
from skymailing.auth.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import scheduling, tasks
from skymailing.mailings.summaries import choose_summary_hour
from skymailing.models import User
from skymailing.reports import daily_rollup
from skymailing.security import BadToken, hash_password, verify_password


@bp.route("/reset", methods=["GET", "POST"])
@limit_letters
@limit_letters_by_address
def reset_request() -> ResponseReturnValue:
    form = ResetRequestForm()
    if not form.validate_on_submit():
        return render_template("auth/reset_request.html", form=form)
    with even_time():
        services.request_reset(form.email.data)
        db.session.commit()
        queue.enqueue("send_outbox")
    session[LETTER_TO] = form.email.data
    return redirect(url_for("auth.reset_requested"))


@bp.get("/reset/sent")
def reset_requested() -> ResponseReturnValue:
    if LETTER_TO not in session:
        return redirect(url_for("auth.reset_request"))
    return render_template("auth/reset_requested.html", email=session[LETTER_TO])


@bp.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str) -> ResponseReturnValue:
    form = NewPasswordForm()
    try:
        email = services.user_of_reset(token).email
        if not form.validate_on_submit():
            return render_template("auth/reset.html", form=form, email=email)
        db.session.rollback()  # nobody waits for the hash
        password_hash = hash_password(form.password.data)
        services.reset_password(token, password_hash, utcnow())
    except BadToken as error:
        return render_template("auth/reset_failed.html", reason=error.reason), 410
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("The new password is saved. You can sign in with it now."), "success")
    return redirect(url_for("auth.login"))


@bp.route("/profile", methods=["GET", "POST"])
@login_required
def profile() -> ResponseReturnValue:
    form = ProfileForm(obj=current_user)
    if not form.validate_on_submit():
        return render_template("auth/profile.html", form=form, password_form=PasswordForm(formdata=None))
    now, zone = utcnow(), ZoneInfo(current_user.timezone)
    form.populate_obj(current_user)
    choose_summary_hour(current_user, form.summary_hour.data, now)
    has_moved = current_user.timezone != zone.key
    if has_moved:
        scheduling.move_to_zone(current_user, zone, now)
        db.session.flush()
        daily_rollup.forget(db.session, current_user.id)
    user_id = current_user.id
    db.session.commit()
    if has_moved:
        tasks.dispatch_mailings_of(user_id, now)
    flash(_("Your profile is saved."), "success")
    return redirect(url_for("auth.profile"))


@bp.post("/profile/password")
@login_required
@limit_password_checks
def change_password() -> ResponseReturnValue:
    form = PasswordForm()
    accepted = form.validate_on_submit()
    user, known_hash = who_is_asked()
    if not (accepted and is_present_password(form.current_password, known_hash)):
        return render_template(
            "auth/profile.html", form=ProfileForm(None, obj=current_user), password_form=form
        )
    password_hash = hash_password(form.password.data)
    services.change_password(user, password_hash)
    renew_session(user, remember=is_remembered())
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("The password is changed. All other devices are signed out."), "success")
    return redirect(url_for("auth.profile"))


def is_present_password(field: Field, known_hash: str) -> bool:
    """Whether the field holds the password; else it says that it does not."""
    if verify_password(known_hash, field.data):
        return True
    field.errors = [_("This is not your present password.")]
    return False


def prove(form: PasswordAndCodeForm) -> User | None:
    """Return the user when the password is right, and the code where there is a second step.

    Else None, with the reason beside the field.
    """
    user, known_hash = who_is_asked()
    if not is_present_password(form.current_password, known_hash):
        return None
    if user.has_second_factor and not two_factor.accept_code(user, form.code.data, utcnow()):
        form.code.errors = [_("This code is wrong, or was used already.")]
        return None
    return user


def who_is_asked() -> tuple[User, str]:
    """Return the signed-in user and the hash of their password; ends the transaction, as hashing is slow."""
    user = db.session.get_one(User, current_user.id)
    known_hash = user.password_hash
    db.session.rollback()
    return user, known_hash
