"""The page of API keys: list, create and revoke them. A new key is shown once, in the response itself."""

from datetime import timedelta

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.api import keys
from skymailing.api.scopes import SCOPE_LABELS
from skymailing.audit import current_actor
from skymailing.auth import two_factor
from skymailing.auth.forms import ApiKeyForm
from skymailing.auth.views.blueprint import bp
from skymailing.auth.views.throttling import limit_key_changes
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import ApiKey, KeyKind, User
from skymailing.security import get_own
from skymailing.web.error_texts import explain


@bp.route("/api-keys", methods=["GET", "POST"])
@login_required
@limit_key_changes
def api_keys() -> ResponseReturnValue:
    """List the user's keys; create one and show it once."""
    form = ApiKeyForm()
    secret: str | None = None  # the new key
    if form.validate_on_submit() and is_confirmed(form):
        days = int(form.expiry.data or 0)
        expires_at = utcnow() + timedelta(days=days) if days else None
        owner = db.session.get_one(User, current_user.id)
        kind, scopes = KeyKind(form.kind.data), form.scopes.data or ()
        try:
            _key, secret = keys.make_key(owner, form.name.data, kind, scopes, expires_at, current_actor())
        except keys.TooManyKeys as error:
            db.session.rollback()
            form.form_errors = [explain(error)]
        else:
            db.session.commit()
            form = ApiKeyForm(formdata=None)
    listed, now = keys.list_keys(current_user.id), utcnow()
    return render_template(
        "auth/api_keys.html",
        form=form,
        keys=listed,
        working={key.id for key in listed if key.works_at(now)},
        last_use=keys.last_use_times(listed),
        scope_labels=SCOPE_LABELS,
        secret=secret,
    )


def is_confirmed(form: ApiKeyForm) -> bool:
    """Return whether the code is right, if the account uses two-factor authentication."""
    if not current_user.has_two_factor or two_factor.verify_code(current_user, form.code.data, utcnow()):
        return True
    form.code.errors = [_("This code is wrong or has already been used.")]
    return False


@bp.route("/api-keys/<int:key_id>/revoke", methods=["GET", "POST"])
@login_required
def revoke_api_key(key_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then revoke a key; programs that use it stop at once."""
    key = get_own(ApiKey, key_id)
    if request.method == "POST":
        keys.revoke_key(key, utcnow(), current_actor())
        db.session.commit()
        flash(_("The API key has been revoked."), "success")
        return redirect(url_for("auth.api_keys"))
    return render_template("auth/api_key_revoke.html", key=key)
