"""The profile page, and the pages for resetting and changing a password."""

from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import queue
from skymailing.auth import services
from skymailing.auth.forms import (
    ChangePasswordForm,
    ProfileForm,
    ResetPasswordForm,
    ResetRequestForm,
)
from skymailing.auth.identities import list_identities
from skymailing.auth.passkeys import list_passkeys
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.confirmation import confirm_password
from skymailing.auth.views.session import LETTER_TO, is_remembered, remember_device, renew_session
from skymailing.auth.views.throttling import (
    constant_response_time,
    limit_letters,
    limit_password_checks,
)
from skymailing.clock import utcnow
from skymailing.dispatch import dispatch_owner_mailings
from skymailing.extensions import db
from skymailing.mailings import scheduling
from skymailing.mailings.summaries import choose_summary_hour
from skymailing.quotas import usage
from skymailing.reports import daily_rollup
from skymailing.security import hash_password
from skymailing.tokens import BadToken


@bp.route("/reset", methods=["GET", "POST"])
@limit_letters
def reset_request() -> ResponseReturnValue:
    form = ResetRequestForm()
    if not form.validate_on_submit():
        return render_template("auth/reset_request.html", form=form)
    with constant_response_time():
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
    form = ResetPasswordForm()
    try:
        email = services.read_reset_token(token).email
        if not form.validate_on_submit():
            return render_template("auth/reset.html", form=form, email=email)
        db.session.rollback()  # so that no lock is held while hashing
        password_hash = hash_password(form.password.data)
        # The link identifies the owner, who can sign in on this device even while a stranger guesses
        # passwords.
        user = services.reset_password(token, password_hash, utcnow())
        remember_device(user)
        # Someone with the old password may have added these; only the owner knows.
        has_other_ways = bool(list_passkeys(user) or list_identities(user))
    except BadToken as error:
        return render_template("auth/reset_failed.html", reason=error.reason), 410
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("Your new password has been saved. You can sign in now."), "success")
    if has_other_ways:
        flash(_("Your passkeys and connected accounts still sign in. Check them in your profile."), "warning")
    return redirect(url_for("auth.login"))


@bp.route("/profile", methods=["GET", "POST"])
@login_required
def profile() -> ResponseReturnValue:
    form = ProfileForm(obj=current_user)
    if not form.validate_on_submit():
        return render_profile(form, ChangePasswordForm(formdata=None))
    now, zone = utcnow(), ZoneInfo(current_user.timezone)
    form.populate_obj(current_user)
    choose_summary_hour(current_user, form.summary_hour.data, now)
    has_moved = current_user.timezone != zone.key
    if has_moved:
        scheduling.move_to_zone(current_user, zone, now)
        db.session.flush()
        daily_rollup.drop_rollups(db.session, current_user.id)
    user_id = current_user.id
    db.session.commit()
    if has_moved:
        dispatch_owner_mailings(user_id, now)
    flash(_("Profile saved."), "success")
    return redirect(url_for("auth.profile"))


def render_profile(form: ProfileForm, password_form: ChangePasswordForm) -> str:
    limits = usage.measure(current_user, utcnow())
    return render_template("auth/profile.html", form=form, password_form=password_form, limits=limits)


@bp.post("/profile/password")
@login_required
@limit_password_checks
def change_password() -> ResponseReturnValue:
    form = ChangePasswordForm()
    user = confirm_password(form.current_password) if form.validate_on_submit() else None
    if user is None:
        return render_profile(ProfileForm(None, obj=current_user), form)
    password_hash = hash_password(form.password.data)
    services.change_password(user, password_hash)
    renew_session(user, remember=is_remembered())
    remember_device(user)
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("Your password has been changed. All other devices have been signed out."), "success")
    return redirect(url_for("auth.profile"))
