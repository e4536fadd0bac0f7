"""What people fill in to sign up, in and out, and about themselves."""

from functools import cache
from zoneinfo import available_timezones

from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, Field, PasswordField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, EqualTo, Length, ValidationError

from skymailing.auth.password_policy import MAX_LENGTH, password_fault
from skymailing.delivery.rendering.mime import clean_line
from skymailing.email_addresses import InvalidEmail, address_key, parse_address
from skymailing.web.error_texts import explain
from skymailing.web.i18n import LANGUAGE_NAMES


def check_address(_form: FlaskForm, field: Field) -> None:
    """Replace what was typed by the account's key for it, or say what is wrong with it."""
    try:
        field.data = address_key(parse_address(field.data))
    except InvalidEmail as error:
        raise ValidationError(explain(error)) from error


def check_new_password(form: FlaskForm, field: Field) -> None:
    """Refuse what is short or guessed first."""
    email = form.email.data if "email" in form else getattr(current_user, "email", "")
    if fault := password_fault(field.data, email or ""):
        raise ValidationError(fault)


def email_field(label: str = _l("E-mail")) -> EmailField:
    return EmailField(
        label,
        validators=[DataRequired(_l("Please enter your e-mail address.")), check_address],
        filters=[lambda text: text.strip() if text else text],
        render_kw={"autocomplete": "username", "inputmode": "email"},
    )


def new_password_field(label: str) -> PasswordField:
    return PasswordField(
        label,
        validators=[DataRequired(_l("Please choose a password.")), check_new_password],
        description=_l("At least 8 characters. A few unrelated words are easy to keep in mind."),
        render_kw={"autocomplete": "new-password"},
    )


def repeat_password_field() -> PasswordField:
    return PasswordField(
        _l("Password once more"),
        validators=[EqualTo("password", message=_l("The two passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )


class RegisterForm(FlaskForm):
    """A new account."""

    email = email_field()
    password = new_password_field(_l("Password"))
    password_confirm = repeat_password_field()


class LoginForm(FlaskForm):
    """Signing in."""

    email = email_field()
    password = PasswordField(
        _l("Password"),
        validators=[DataRequired(_l("Please enter your password.")), Length(max=MAX_LENGTH)],
        render_kw={"autocomplete": "current-password"},
    )
    remember = BooleanField(_l("Keep me signed in on this device"))


class ResetRequestForm(FlaskForm):
    """A forgotten password."""

    email = email_field()


class NewPasswordForm(FlaskForm):
    """A new password, after a link from a letter."""

    password = new_password_field(_l("New password"))
    password_confirm = repeat_password_field()


class ProfileForm(FlaskForm):
    """How the service speaks to the user and signs their letters."""

    name = StringField(
        _l("Name"),
        validators=[Length(max=200, message=_l("The name is longer than 200 characters."))],
        filters=[lambda text: clean_line(text or "")],
        description=_l("Stands as the sender of new mailings. A person's or a company's name works best."),
        render_kw={"autocomplete": "organization"},
    )
    locale = SelectField(
        _l("Language"),
        choices=[
            SelectChoice("", _l("As my browser wishes")),
            *(SelectChoice(code, name) for code, name in LANGUAGE_NAMES.items()),
        ],
    )
    timezone = SelectField(_l("Time zone"), description=_l("All times are shown and entered in it."))
    summary_hour = SelectField(
        _l("Daily summary by e-mail"),
        choices=[
            SelectChoice("", _l("No summary")),
            *(SelectChoice(str(hour), f"{hour:02}:00") for hour in range(24)),
        ],
        coerce=lambda text: int(text) if text not in ("", None) else None,
        description=_l("What was sent in the day before, at this hour; nothing on days without sending."),
    )
    wants_login_letters = BooleanField(
        _l("Tell me by e-mail when my account is signed in to on a new device")
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.timezone.choices = timezone_choices()


def present_password_field() -> PasswordField:
    return PasswordField(
        _l("Present password"),
        validators=[DataRequired(_l("Please enter your present password.")), Length(max=MAX_LENGTH)],
        render_kw={"autocomplete": "current-password"},
    )


def code_field(label: str, description: str = "") -> StringField:
    return StringField(
        label,
        validators=[DataRequired(_l("Please enter the code.")), Length(max=100)],
        description=description,
        render_kw={"autocomplete": "one-time-code", "inputmode": "text", "spellcheck": "false"},
    )


class CodeForm(FlaskForm):
    """The second step of signing in."""

    code = code_field(_l("Code"))


class AppCodeForm(FlaskForm):
    """Proof that the app has the key."""

    code = code_field(_l("Code from the app"), _l("Six digits; a new code appears every 30 seconds."))


class PresentPasswordForm(FlaskForm):
    """Proof that it is still the owner who sits there."""

    current_password = present_password_field()


class NewEmailForm(FlaskForm):
    """Another address for the account."""

    email = email_field(_l("New e-mail"))
    current_password = present_password_field()


class PasswordAndCodeForm(FlaskForm):
    """The same with the code, for those who have a second step."""

    current_password = present_password_field()
    code = code_field(_l("Code"), _l("From the app, or one of your recovery codes."))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not current_user.has_second_factor:
            del self.code


class PasswordForm(FlaskForm):
    """A new password for somebody who knows the present one."""

    current_password = present_password_field()
    password = new_password_field(_l("New password"))
    password_confirm = repeat_password_field()


@cache
def timezone_choices() -> list[SelectChoice]:
    """Return all time zones of the IANA database that name a place, grouped by region; UTC first."""
    choices = [SelectChoice("UTC", "UTC")]
    for name in sorted(available_timezones()):
        region, _, place = name.partition("/")
        if place and region not in {"Etc", "SystemV", "posix", "right"}:
            choices.append(SelectChoice(name, place.replace("_", " "), optgroup=region))
    return choices
