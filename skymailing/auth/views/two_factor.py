"""Pages that turn two-factor authentication on and off, and show the key and recovery codes once."""

import segno
from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from markupsafe import Markup

from skymailing import queue
from skymailing.auth import two_factor
from skymailing.auth.forms import AppCodeForm, CurrentPasswordForm, PasswordAndCodeForm
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.confirmation import confirm_identity, confirm_password
from skymailing.auth.views.session import end_other_sessions
from skymailing.auth.views.throttling import limit_password_checks
from skymailing.clock import utcnow
from skymailing.extensions import db


@bp.route("/profile/second-step", methods=["GET", "POST"], endpoint="two_factor")
@login_required
@limit_password_checks
def overview() -> ResponseReturnValue:
    """Show whether two-factor authentication is on; start the setup once the password is confirmed."""
    form = CurrentPasswordForm()
    if form.validate_on_submit() and (user := confirm_password(form.current_password)):
        two_factor.start_setup(user, utcnow())
        db.session.commit()
        return redirect(url_for("auth.two_factor_setup"))
    left = two_factor.count_recovery_codes(current_user)
    return render_template("auth/two_factor.html", form=form, codes_left=left)


@bp.route("/profile/second-step/setup", methods=["GET", "POST"], endpoint="two_factor_setup")
@login_required
@limit_password_checks
def setup() -> ResponseReturnValue:
    """Show the key for the app; turn on two-factor authentication once a code from it is confirmed."""
    secret = two_factor.find_pending_secret(current_user, utcnow())
    if secret is None:
        return redirect(url_for("auth.two_factor"))
    form = AppCodeForm()
    if form.validate_on_submit():
        codes = two_factor.confirm_setup(current_user, form.code.data, utcnow())
        if codes is not None:
            end_other_sessions(current_user)
            db.session.commit()
            queue.enqueue("send_outbox")
            return render_template("auth/recovery_codes.html", codes=codes, is_new=True)
        form.code.errors = [_("This code is wrong. Check the clock of your phone.")]
    qr_code = draw_qr_code(two_factor.make_provisioning_uri(current_user, secret))
    groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
    return render_template("auth/two_factor_setup.html", form=form, qr_code=qr_code, groups=groups)


@bp.route("/profile/second-step/off", methods=["GET", "POST"], endpoint="two_factor_off")
@login_required
@limit_password_checks
def turn_off() -> ResponseReturnValue:
    """Turn off two-factor authentication once the password and a code are confirmed."""
    if not current_user.has_two_factor:
        return redirect(url_for("auth.two_factor"))
    form = PasswordAndCodeForm()
    if form.validate_on_submit() and (user := confirm_identity(form)):
        two_factor.turn_off(user)
        db.session.commit()
        queue.enqueue("send_outbox")
        flash(_("Two-factor authentication is off. You now sign in with your password alone."), "success")
        return redirect(url_for("auth.two_factor"))
    return render_template("auth/two_factor_off.html", form=form)


@bp.route("/profile/second-step/codes", methods=["GET", "POST"])
@login_required
@limit_password_checks
def recovery_codes() -> ResponseReturnValue:
    """Replace the recovery codes once the password and a code are confirmed, and show the new ones."""
    if not current_user.has_two_factor:
        return redirect(url_for("auth.two_factor"))
    form = PasswordAndCodeForm()
    if form.validate_on_submit() and (user := confirm_identity(form)):
        codes = two_factor.replace_recovery_codes(user)
        db.session.commit()
        return render_template("auth/recovery_codes.html", codes=codes, is_new=False)
    return render_template("auth/recovery_codes_confirm.html", form=form)


def draw_qr_code(text: str) -> Markup:
    """Return a QR code as an inline SVG with a single path, without styles or scripts."""
    code = segno.make(text, error="m", micro=False)
    drawing = code.svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr-code")
    return Markup(drawing)  # noqa: S704 - segno draws dots; the markup contains no part of the text
