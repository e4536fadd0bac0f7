"""Confirm the password, and a two-factor code, before an action that a stolen session must not allow."""

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
    """Return the signed-in user if the field holds their password, else None with an error at the field.

    Rolls the transaction back, so that hashing holds no lock.
    """
    user = db.session.get_one(User, current_user.id)
    password_hash = user.password_hash
    db.session.rollback()
    if verify_password(password_hash, field.data):
        return user
    field.errors = [_("This is not your current password.")]
    return None


def confirm_identity(form: PasswordAndCodeForm) -> User | None:
    """Return the signed-in user if the password is right, and the code where the account needs one.

    Else return None, with an error at the field.
    """
    user = confirm_password(form.current_password)
    if user is None:
        return None
    if user.has_two_factor and not two_factor.verify_code(user, form.code.data, utcnow()):
        form.code.errors = [_("This code is wrong or has already been used.")]
        return None
    return user
