"""What somebody who leaves has to fill in."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import PasswordField
from wtforms.validators import DataRequired, Length

from skymailing.auth.policy import MAX_LENGTH


class LeaveForm(FlaskForm):
    """The password, as a browser left open on a desk may not delete everything."""

    password = PasswordField(
        _l("Your password"),
        validators=[DataRequired(_l("Please enter your password.")), Length(max=MAX_LENGTH)],
        render_kw={"autocomplete": "current-password"},
    )
