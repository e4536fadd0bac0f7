"""Pages that add and remove passkeys, and sign users in with them."""

import secrets
from datetime import datetime

from flask import Response, abort, flash, jsonify, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import queue
from skymailing.auth import passkeys
from skymailing.auth.forms import PasskeyForm, PasskeySignInForm, PasswordAndCodeForm
from skymailing.auth.passkeys import CHALLENGE_LIFETIME, PasskeyError
from skymailing.auth.two_factor import SETUP_LIFETIME
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.confirmation import confirm_identity
from skymailing.auth.views.session import device_and_network, find_visited_party
from skymailing.auth.views.sign_in import complete_sign_in, find_landing_page
from skymailing.auth.views.throttling import limit_passkeys, limit_password_checks
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.security import is_safe_next
from skymailing.tokens import BadToken, make_token, read_token
from skymailing.web.error_texts import explain

# Keys of session values, and purposes of the tokens in them.
ADDING = "adding_passkey"
SIGNING_IN = "passkey_challenge"


@bp.route("/profile/passkeys", methods=["GET", "POST"], endpoint="passkeys")
@login_required
@limit_password_checks
def list_own() -> ResponseReturnValue:
    """List the passkeys; start adding one once the password and a code are confirmed."""
    form = PasswordAndCodeForm()
    is_available = find_visited_party() is not None
    if is_available and form.validate_on_submit() and (user := confirm_identity(form)):
        values = {"user": user.id, "epoch": user.session_epoch, "challenge": secrets.token_hex(32)}
        session[ADDING] = make_token(ADDING, values)
        db.session.commit()
        return redirect(url_for("auth.add_passkey"))
    found = passkeys.list_passkeys(current_user)
    return render_template(
        "auth/passkeys.html", form=form, passkeys=found, is_available=bool(find_visited_party())
    )


@bp.route("/profile/passkeys/new", methods=["GET", "POST"])
@login_required
@limit_password_checks
def add_passkey() -> ResponseReturnValue:
    """Let the browser create a passkey, and add it."""
    party, challenge = find_visited_party(), _read_adding()
    if party is None or challenge is None:
        return redirect(url_for("auth.passkeys"))
    form = PasskeyForm(name=device_and_network()[0] or _("My device"))
    if form.validate_on_submit():
        try:
            passkeys.add_passkey(current_user, party, challenge, form.credential.data, form.name.data)
        except PasskeyError as error:
            db.session.rollback()
            form.form_errors.append(explain(error))
        else:
            del session[ADDING]
            db.session.commit()
            queue.enqueue("send_outbox")
            flash(_("The passkey has been added. You can now sign in with it."), "success")
            return redirect(url_for("auth.passkeys"))
    options = passkeys.make_adding_options(current_user, party, challenge)
    return render_template("auth/passkey_new.html", form=form, options=options)


@bp.post("/profile/passkeys/<int:passkey_id>/delete")
@login_required
def delete_passkey(passkey_id: int) -> ResponseReturnValue:
    if not passkeys.delete_passkey(current_user, passkey_id):
        abort(404)
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("The passkey has been removed. It no longer signs in."), "success")
    return redirect(url_for("auth.passkeys"))


@bp.post("/login/passkey/challenge")
def passkey_challenge() -> ResponseReturnValue:
    """Return the options with which the browser asks for a passkey."""
    party = find_visited_party()
    if party is None:
        return jsonify(problem=_("Passkeys do not work at this address.")), 409
    challenge = secrets.token_hex(32)
    values = {"challenge": challenge, "at": utcnow().isoformat()}
    session[SIGNING_IN] = make_token(SIGNING_IN, values)
    options = passkeys.make_sign_in_options(party, bytes.fromhex(challenge))
    return Response(options, mimetype="application/json")


@bp.post("/login/passkey")
@limit_passkeys
def login_with_passkey() -> ResponseReturnValue:
    """Sign in the user whose passkey has signed the challenge."""
    target = request.args.get("next")
    target = target if target and is_safe_next(target) else find_landing_page()
    form, party = PasskeySignInForm(), find_visited_party()
    try:
        if party is None or not form.validate_on_submit():
            raise PasskeyError("passkey_refused")
        challenge, challenged_at = _read_challenge()
        user = passkeys.verify_sign_in(party, challenge, challenged_at, form.credential.data, utcnow())
    except PasskeyError as error:
        db.session.rollback()
        flash(explain(error), "warning")
        return Response(
            status=303, headers={"Location": url_for("auth.login", next=request.args.get("next"))}
        )
    if user.is_blocked:
        db.session.commit()
        return render_template("auth/blocked.html", user=user), 403
    complete_sign_in(user, remember=form.remember.data)
    return redirect(target)


def _read_adding() -> bytes | None:
    """Return the challenge for adding a passkey; None if the password was not confirmed recently."""
    try:
        known = read_token(ADDING, session.get(ADDING, ""), SETUP_LIFETIME)
    except BadToken:
        return None
    if (known["user"], known["epoch"]) != (current_user.id, current_user.session_epoch):
        return None
    return bytes.fromhex(known["challenge"])


def _read_challenge() -> tuple[bytes, datetime]:
    try:
        known = read_token(SIGNING_IN, session.pop(SIGNING_IN, ""), CHALLENGE_LIFETIME)
    except BadToken as error:
        raise PasskeyError("passkey_too_late") from error
    return bytes.fromhex(known["challenge"]), datetime.fromisoformat(known["at"])
