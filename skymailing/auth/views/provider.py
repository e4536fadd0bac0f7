"""Pages for signing in with an account at the OpenID Connect provider, and for connecting one."""

from flask import abort, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import queue
from skymailing.auth import identities
from skymailing.auth.forms import PasswordAndCodeForm
from skymailing.auth.identities import Claims, IdentityError
from skymailing.auth.two_factor import SETUP_LIFETIME
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.confirmation import confirm_identity
from skymailing.auth.views.provider_client import (
    ProviderError,
    oidc_settings,
    read_claims,
    redirect_to_provider,
)
from skymailing.auth.views.session import start_code_step
from skymailing.auth.views.sign_in import complete_sign_in, find_landing_page
from skymailing.auth.views.throttling import limit_password_checks, limit_provider
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.extensions import db
from skymailing.models import User
from skymailing.security import hash_password, is_safe_next
from skymailing.tokens import BadToken, make_token, read_token
from skymailing.web.error_texts import explain
from skymailing.web.urls import public_url

# Keys of session values.
CONNECTING = "connecting_identity"  # also the purpose of the token in it
TARGET = "provider_target"
MAX_TARGET = 1000  # characters; browsers drop a cookie of more than 4 KB
OTHER_SITES = ("cross-site", "same-site")
FAILED = 303  # counts as a failed attempt, unlike 302


@bp.get("/login/provider")
@limit_provider
def start_at_provider() -> ResponseReturnValue:
    """Redirect to the provider; refuse links on other sites, which would sign visitors in without asking."""
    target = request.args.get("next")
    if not oidc_settings().issuer or request.headers.get("Sec-Fetch-Site") in OTHER_SITES:
        return redirect(url_for("auth.login", next=target))
    is_usable = target and len(target) <= MAX_TARGET and is_safe_next(target)
    session[TARGET] = target if is_usable else ""
    db.session.rollback()  # so that no transaction is open while the provider responds
    try:
        response = redirect_to_provider(public_url("auth.return_from_provider"))
    except ProviderError as error:
        flash(explain(error), "warning")
        return redirect(url_for("auth.login"), FAILED)
    g.leaves_site = True
    return response


@bp.get("/login/provider/return")
@limit_provider
def return_from_provider() -> ResponseReturnValue:
    """Sign in the person whom the provider sent back, or connect their account with the signed-in user."""
    if not oidc_settings().issuer:
        return redirect(url_for("auth.login"))
    target = session.pop(TARGET, "") or find_landing_page()
    connecting = session.pop(CONNECTING, "")
    db.session.rollback()  # so that no transaction is open while the provider responds
    try:
        claims = read_claims()
        start_writing()
        if connecting:
            return _connect(claims, connecting)
        return _enter(_find_user(claims), target)
    except (ProviderError, IdentityError) as error:
        db.session.rollback()
        flash(explain(error), "warning")
        page = "auth.identities" if current_user.is_authenticated else "auth.login"
        return redirect(url_for(page), FAILED)


@bp.route("/profile/sign-in-accounts", methods=["GET", "POST"], endpoint="identities")
@login_required
@limit_password_checks
def list_own() -> ResponseReturnValue:
    """List the connected accounts; allow connecting one once the password and a code are confirmed."""
    form, may_connect = PasswordAndCodeForm(), False
    if form.validate_on_submit() and (user := confirm_identity(form)):
        # The page links to the provider, because browsers block a form's redirect to another site.
        session[CONNECTING] = make_token(CONNECTING, {"user": user.id, "epoch": user.session_epoch})
        db.session.commit()
        may_connect = True
    found = identities.list_identities(current_user)
    return render_template(
        "auth/identities.html",
        form=form,
        identities=found,
        may_connect=may_connect,
        provider=oidc_settings().name,
    )


@bp.post("/profile/sign-in-accounts/<int:identity_id>/delete")
@login_required
def disconnect(identity_id: int) -> ResponseReturnValue:
    if not identities.disconnect(current_user, identity_id):
        abort(404)
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("The account has been disconnected. It no longer signs in."), "success")
    return redirect(url_for("auth.identities"))


def _connect(claims: Claims, token: str) -> ResponseReturnValue:
    """Connect the account with the user who confirmed their password in this session."""
    try:
        known = read_token(CONNECTING, token, SETUP_LIFETIME)
    except BadToken as error:
        raise IdentityError("identity_too_late") from error
    user = current_user
    if not user.is_authenticated or (known["user"], known["epoch"]) != (user.id, user.session_epoch):
        raise IdentityError("identity_too_late")
    identities.connect(user, claims)
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("The account has been connected. You can now sign in with it."), "success")
    return redirect(url_for("auth.identities"))


def _find_user(claims: Claims) -> User:
    """Return the person's user, created if the settings allow it; raises IdentityError."""
    if user := identities.find_user(claims, utcnow()):
        if not (user.is_confirmed or user.is_blocked):  # the account is being deleted
            raise IdentityError("identity_unknown", name=oidc_settings().name)
        return user
    if not oidc_settings().creates_users:
        raise IdentityError("identity_unknown", name=oidc_settings().name)
    db.session.rollback()  # so that no lock is held while hashing
    password_hash = hash_password(identities.make_random_password())
    return identities.register(claims, str(get_locale()), password_hash, utcnow())


def _enter(user: User, target: str) -> ResponseReturnValue:
    """Sign the user in, unless they are blocked or a code is also needed."""
    if user.is_blocked:
        db.session.commit()
        return render_template("auth/blocked.html", user=user), 403
    if user.has_two_factor:
        start_code_step(user, remember=False)
        db.session.commit()
        return redirect(url_for("auth.login_code", next=target))
    complete_sign_in(user, remember=False)
    return redirect(target)
