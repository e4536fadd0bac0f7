"""Require the password and a two-factor code for actions for which a signed-in session is not enough."""

from flask_babel import gettext as _
from flask_login import current_user
from wtforms import Field

from skymailing.auth import two_factor
from skymailing.auth.forms import PasswordAndCodeForm
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import User
from skymailing.security import verify_password


def confirm_password(field: Field) -> User | None:
    """Return the signed-in user if the field contains their password, else None with an error on the field.

    Rolls back the transaction, so that no lock is held while hashing.
    """
    user = db.session.get_one(User, current_user.id)
    password_hash = user.password_hash
    db.session.rollback()
    if verify_password(password_hash, field.data):
        return user
    field.errors = [_("This is not your current password.")]
    return None


def confirm_identity(form: PasswordAndCodeForm) -> User | None:
    """Return the signed-in user if the password is right, and the code if the account needs one.

    Otherwise, add an error to the field and return None.
    """
    user = confirm_password(form.current_password)
    if user is None:
        return None
    if user.has_two_factor and not two_factor.verify_code(user, form.code.data, utcnow()):
        form.code.errors = [_("This code is wrong or has already been used.")]
        return None
    return user
