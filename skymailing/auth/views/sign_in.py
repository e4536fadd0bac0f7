"""Pages for sign-up, address confirmation, sign-in and sign-out."""

from flask import flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user

from skymailing import queue
from skymailing.auth import services, two_factor
from skymailing.auth.forms import CodeForm, ConfirmAddressForm, LoginForm, RegisterForm, ResetPasswordForm
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.provider_client import oidc_settings
from skymailing.auth.views.session import (
    LETTER_TO,
    UNCONFIRMED,
    VERIFY_TOKEN,
    end_session,
    find_user_awaiting_code,
    find_visited_party,
    remember_device,
    sign_in,
    start_code_step,
)
from skymailing.auth.views.throttling import (
    constant_response_time,
    limit_codes,
    limit_confirmations,
    limit_logins,
    limit_registrations,
    limit_resends,
)
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import User
from skymailing.security import hash_password, is_safe_next, needs_rehash
from skymailing.tokens import BadToken


@bp.route("/register", methods=["GET", "POST"])
@limit_registrations
def register() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(find_landing_page())
    form = RegisterForm()
    if not form.validate_on_submit():
        return render_template("auth/register.html", form=form)
    with constant_response_time():
        password_hash = hash_password(form.password.data)
        services.register_user(
            form.email.data, password_hash, locale=str(get_locale()), timezone=form.timezone.data
        )
        db.session.commit()
        queue.enqueue("send_outbox")
    session[LETTER_TO] = form.email.data
    return redirect(url_for("auth.registered"))


@bp.get("/registered")
def registered() -> ResponseReturnValue:
    if LETTER_TO not in session:
        return redirect(url_for("auth.register"))
    return render_template("auth/registered.html", email=session[LETTER_TO])


@bp.route("/verify/<token>", methods=["GET", "POST"])
@limit_confirmations
def verify(token: str) -> ResponseReturnValue:
    """Ask for the password, and confirm the address if it is right.

    The link alone confirms nothing: someone else may have registered this address, and would then know the
    account's password. The session stores the token, so that signing in after opening the link also confirms
    the address.
    """
    form = ConfirmAddressForm()
    try:
        email = services.read_verification_token(token).email
        if form.validate_on_submit():
            if services.authenticate(email, form.password.data) is not None:
                user = services.confirm_user(token, utcnow())
                return enter(user, form, find_landing_page())
            form.password.errors = [_("This is not the password chosen at registration.")]
    except BadToken as error:
        return render_template("auth/verify_failed.html", reason=error.reason), 410
    session[VERIFY_TOKEN] = token
    return render_template("auth/verify.html", email=email, form=form, token=token)


@bp.route("/verify/<token>/password", methods=["GET", "POST"])
def verify_with_new_password(token: str) -> ResponseReturnValue:
    """Let the owner of the mailbox replace the password chosen at registration, and confirm the address."""
    form = ResetPasswordForm()
    try:
        email = services.read_verification_token(token).email
        if not form.validate_on_submit():
            return render_template("auth/reset.html", form=form, email=email)
        db.session.rollback()  # so that no lock is held while hashing
        user = services.confirm_with_new_password(token, hash_password(form.password.data), utcnow())
        remember_device(user)
    except BadToken as error:
        return render_template("auth/verify_failed.html", reason=error.reason), 410
    db.session.commit()
    session.pop(VERIFY_TOKEN, None)
    flash(_("Your new password has been saved. You can sign in now."), "success")
    return redirect(url_for("auth.login"))


@bp.route("/login", methods=["GET", "POST"])
@limit_logins
def login() -> ResponseReturnValue:
    target = request.args.get("next")
    target = target if target and is_safe_next(target) else find_landing_page()
    form = LoginForm()
    if not form.validate_on_submit():
        if current_user.is_authenticated:
            return redirect(target)
        return render_sign_in("auth/login.html", form)
    user = services.authenticate(form.email.data, form.password.data)
    if user is None:
        form.password.errors = [_("Wrong email address or password.")]
        return render_sign_in("auth/login.html", form)
    if not (user.is_confirmed or user.is_blocked or confirm_by_opened_link(user)):
        session[UNCONFIRMED] = user.id
        return render_template("auth/unconfirmed.html", email=user.email), 403
    return enter(user, form, target)


def render_sign_in(template: str, form: LoginForm | CodeForm) -> str:
    """Render a sign-in page, with the other ways to sign in."""
    return render_template(
        template, form=form, has_passkeys=find_visited_party() is not None, provider=oidc_settings().name
    )


def enter(user: User, form: ConfirmAddressForm, target: str) -> ResponseReturnValue:
    """Sign in a user who entered the right password, unless they are blocked or a code is also needed."""
    if user.is_blocked:
        db.session.commit()
        return render_template("auth/blocked.html", user=user), 403
    if needs_rehash(user.password_hash):
        user.password_hash = hash_password(form.password.data)
    if user.has_two_factor:
        start_code_step(user, remember=form.remember.data)
        db.session.commit()
        return redirect(url_for("auth.login_code", next=target))
    complete_sign_in(user, remember=form.remember.data)
    return redirect(target)


@bp.route("/login/code", methods=["GET", "POST"])
@limit_codes
def login_code() -> ResponseReturnValue:
    """Ask for a code after the password."""
    awaiting = find_user_awaiting_code()
    if awaiting is None:
        flash(_("Please sign in again: the code must be entered within ten minutes."), "info")
        return redirect(url_for("auth.login", next=request.args.get("next")))
    user, remember = awaiting
    form = CodeForm()
    if not form.validate_on_submit():
        return render_sign_in("auth/login_code.html", form)
    if user.has_two_factor and not two_factor.verify_code(user, form.code.data, utcnow()):
        form.code.errors = [_("This code is wrong or has already been used.")]
        return render_sign_in("auth/login_code.html", form)
    complete_sign_in(user, remember=remember)
    target = request.args.get("next")
    return redirect(target if target and is_safe_next(target) else find_landing_page())


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    end_session()
    db.session.commit()
    flash(_("You are signed out."), "info")
    return redirect(url_for("auth.login"))


@bp.post("/resend")
@limit_resends
def resend() -> ResponseReturnValue:
    """Send the confirmation link again to a visitor who has just entered the right password."""
    user = db.session.get(User, session.get(UNCONFIRMED, 0))
    if user is None:
        return redirect(url_for("auth.login"))
    services.request_verification(user)
    session[LETTER_TO] = user.email
    db.session.commit()
    queue.enqueue("send_outbox")
    return redirect(url_for("auth.registered"))


def find_landing_page() -> str:
    """Return the URL of the page to show after sign-in."""
    return url_for("home.index")


def complete_sign_in(user: User, *, remember: bool) -> None:
    """Sign the user in and commit; if a letter about a new device was added, start sending it."""
    has_letter = sign_in(user, remember=remember)
    db.session.commit()
    if has_letter:
        queue.enqueue("send_outbox")


def confirm_by_opened_link(user: User) -> bool:
    """Confirm the user's address if this browser opened their link earlier; return whether it did."""
    token = session.get(VERIFY_TOKEN)
    try:
        if token is None or services.read_verification_token(token) != user:
            return False
        services.confirm_user(token, utcnow())
    except BadToken:
        return False
    return True
