"""Pages of auth: turning the second factor on and off. Its key and codes are shown once."""

import segno
from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from markupsafe import Markup

from skymailing import queue
from skymailing.auth import devices, two_factor
from skymailing.auth.forms import AppCodeForm, PasswordAndCodeForm, PresentPasswordForm
from skymailing.auth.throttling import limit_password_checks
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.passwords import is_present_password, prove, who_is_asked
from skymailing.clock import utcnow
from skymailing.extensions import db


@bp.route("/profile/second-step", methods=["GET", "POST"])
@login_required
@limit_password_checks
def second_step() -> ResponseReturnValue:
    """Show whether it is on; begin to turn it on, after the password."""
    form = PresentPasswordForm()
    if form.validate_on_submit():
        user, known_hash = who_is_asked()
        if is_present_password(form.current_password, known_hash):
            two_factor.begin_setup(user, utcnow())
            db.session.commit()
            return redirect(url_for("auth.second_step_setup"))
    left = two_factor.count_recovery_codes(current_user)
    return render_template("auth/second_step.html", form=form, codes_left=left)


@bp.route("/profile/second-step/setup", methods=["GET", "POST"])
@login_required
@limit_password_checks
def second_step_setup() -> ResponseReturnValue:
    """Show the key for the app, and turn the second step on once a code proves that it is there."""
    secret = two_factor.pending_secret(current_user, utcnow())
    if secret is None:
        return redirect(url_for("auth.second_step"))
    form = AppCodeForm()
    if form.validate_on_submit():
        codes = two_factor.confirm_setup(current_user, form.code.data, utcnow())
        if codes is not None:
            devices.end_other_sessions(current_user, current_user.session_key)
            db.session.commit()
            queue.enqueue("send_outbox")
            return render_template("auth/recovery_codes.html", codes=codes, is_new=True)
        form.code.errors = [_("This code is wrong. Check that the clock of your phone is right.")]
    picture = draw_code(two_factor.app_address(current_user, secret))
    groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
    return render_template("auth/second_step_setup.html", form=form, picture=picture, groups=groups)


@bp.route("/profile/second-step/off", methods=["GET", "POST"])
@login_required
@limit_password_checks
def second_step_off() -> ResponseReturnValue:
    """Turn the second step off, after password and code."""
    if not current_user.has_second_factor:
        return redirect(url_for("auth.second_step"))
    form = PasswordAndCodeForm()
    if form.validate_on_submit() and (user := prove(form)):
        two_factor.turn_off(user)
        db.session.commit()
        queue.enqueue("send_outbox")
        flash(_("The second step is off. Your password alone is enough again."), "success")
        return redirect(url_for("auth.second_step"))
    return render_template("auth/second_step_off.html", form=form)


@bp.route("/profile/second-step/codes", methods=["GET", "POST"])
@login_required
@limit_password_checks
def recovery_codes() -> ResponseReturnValue:
    """Make new recovery codes, after password and code, and show them this once."""
    if not current_user.has_second_factor:
        return redirect(url_for("auth.second_step"))
    form = PasswordAndCodeForm()
    if form.validate_on_submit() and (user := prove(form)):
        codes = two_factor.replace_recovery_codes(user)
        db.session.commit()
        return render_template("auth/recovery_codes.html", codes=codes, is_new=False)
    return render_template("auth/recovery_codes_ask.html", form=form)


def draw_code(text: str) -> Markup:
    """Return a QR code as part of a page: one path, without styles or scripts."""
    code = segno.make(text, error="m", micro=False)
    drawing = code.svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr-code")
    return Markup(drawing)  # noqa: S704 - drawn by segno out of dots, with nothing of the text in it
