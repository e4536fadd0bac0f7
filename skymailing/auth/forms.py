"""Account forms: sign-up, sign-in, profile, passwords and two-factor authentication."""

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, EqualTo, Length, ValidationError

from skymailing.api.keys import NAME_MAX_LENGTH
from skymailing.api.scopes import Scope, name_scope
from skymailing.auth.passkeys import NAME_MAX_LENGTH as PASSKEY_NAME_LENGTH
from skymailing.auth.password_policy import MAX_LENGTH, WeakPassword, check_password_strength
from skymailing.clock import utcnow
from skymailing.delivery.rendering.mime import clean_line
from skymailing.email_addresses import InvalidEmail, address_key, parse_address
from skymailing.models import KeyKind
from skymailing.web.error_texts import explain
from skymailing.web.form_fields import ChoicesField, LongSelect
from skymailing.web.i18n import LANGUAGE_NAMES
from skymailing.web.timezone_choices import is_timezone, list_timezone_choices


def normalize_address(_form: FlaskForm, field: Field) -> None:
    """Convert the entered address to the form that accounts store, or report what is wrong with it."""
    try:
        field.data = address_key(parse_address(field.data))
    except InvalidEmail as error:
        raise ValidationError(explain(error)) from error


def validate_new_password(form: FlaskForm, field: Field) -> None:
    """Reject a password that is too short or too easy to guess."""
    email = form.email.data if "email" in form else getattr(current_user, "email", "")
    try:
        check_password_strength(field.data, email or "")
    except WeakPassword as error:
        raise ValidationError(explain(error)) from error


def make_email_field(label: str = _l("Email")) -> EmailField:
    return EmailField(
        label,
        validators=[DataRequired(_l("Please enter your email address.")), normalize_address],
        filters=[lambda text: text.strip() if text else text],
        render_kw={"autocomplete": "username", "inputmode": "email"},
    )


def make_new_password_field(label: str) -> PasswordField:
    return PasswordField(
        label,
        validators=[DataRequired(_l("Please choose a password.")), validate_new_password],
        description=_l("At least 8 characters. A few unrelated words are easy to remember."),
        render_kw={"autocomplete": "new-password"},
    )


def make_repeat_password_field() -> PasswordField:
    return PasswordField(
        _l("Repeat the password"),
        validators=[EqualTo("password", message=_l("The passwords do not match."))],
        render_kw={"autocomplete": "new-password"},
    )


class RegisterForm(FlaskForm):
    """Create an account. The password is entered again to confirm the address, so it is not repeated here."""

    email = make_email_field()
    password = make_new_password_field(_l("Password"))
    # The browser's time zone, filled in by a script.
    timezone = HiddenField(filters=[lambda name: name if name and is_timezone(name) else ""])


class ConfirmAddressForm(FlaskForm):
    """Confirm an address, and sign in."""

    password = PasswordField(
        _l("Password"),
        validators=[DataRequired(_l("Please enter your password.")), Length(max=MAX_LENGTH)],
        render_kw={"autocomplete": "current-password"},
    )
    remember = BooleanField(_l("Keep me signed in on this device"))


class LoginForm(ConfirmAddressForm):
    """Sign in."""

    email = make_email_field()


class ResetRequestForm(FlaskForm):
    """Request a link that sets a new password."""

    email = make_email_field()


class ResetPasswordForm(FlaskForm):
    """Set a new password after opening the link."""

    password = make_new_password_field(_l("New password"))
    password_confirm = make_repeat_password_field()


class ProfileForm(FlaskForm):
    """Edit the name, language, time zone and notifications."""

    name = StringField(
        _l("Name"),
        validators=[Length(max=200, message=_l("The name is longer than 200 characters."))],
        filters=[lambda text: clean_line(text or "")],
        description=_l("Default sender name for new mailings: your name or your company's."),
        render_kw={"autocomplete": "organization"},
    )
    locale = SelectField(
        _l("Language"),
        choices=[
            SelectChoice("", _l("Use browser language")),
            *(SelectChoice(code, name) for code, name in LANGUAGE_NAMES.items()),
        ],
    )
    timezone = SelectField(
        _l("Time zone"),
        description=_l("All times in SkyMailing are in this time zone."),
        widget=LongSelect(),
    )
    summary_hour = SelectField(
        _l("Daily summary by email"),
        choices=[
            SelectChoice("", _l("No summary")),
            *(SelectChoice(str(hour), f"{hour:02}:00") for hour in range(24)),
        ],
        coerce=lambda text: int(text) if text not in ("", None) else None,
        description=_l("Results for the last 24 hours. Not sent if there were no mailings."),
    )
    wants_login_letters = BooleanField(_l("Email me when someone signs in to my account on a new device"))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.timezone.choices = list_timezone_choices(utcnow(), current_user.timezone)


def make_current_password_field() -> PasswordField:
    return PasswordField(
        _l("Current password"),
        validators=[DataRequired(_l("Please enter your current password.")), Length(max=MAX_LENGTH)],
        render_kw={"autocomplete": "current-password"},
    )


def make_code_field(label: str, description: str = "") -> StringField:
    return StringField(
        label,
        validators=[DataRequired(_l("Please enter the code.")), Length(max=100)],
        description=description,
        render_kw={"autocomplete": "one-time-code", "inputmode": "text", "spellcheck": "false"},
    )


class CodeForm(FlaskForm):
    """Enter a code after the password."""

    code = make_code_field(_l("Code"))


class AppCodeForm(FlaskForm):
    """Confirm that the app has the key."""

    code = make_code_field(_l("Code from the app"), _l("Six digits; a new code appears every 30 seconds."))


class CurrentPasswordForm(FlaskForm):
    """Confirm the password again, in case someone else is using the signed-in browser."""

    current_password = make_current_password_field()


class NewEmailForm(FlaskForm):
    """Request a change to the account's address."""

    email = make_email_field(_l("New email address"))
    current_password = make_current_password_field()


class PasswordAndCodeForm(FlaskForm):
    """Confirm the password, and a code if the account uses two-factor authentication."""

    current_password = make_current_password_field()
    code = make_code_field(_l("Code"), _l("From the app, or one of your recovery codes."))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not current_user.has_two_factor:
            del self.code


class PasskeyForm(FlaskForm):
    """Name a new passkey; a script fills in what the browser created."""

    name = StringField(
        _l("Name"),
        validators=[
            DataRequired(_l("Please enter a name.")),
            Length(max=PASSKEY_NAME_LENGTH, message=_l("The name is too long.")),
        ],
        filters=[lambda text: clean_line(text or "")],
        description=_l("So that you recognize it, such as “Work laptop”."),
        render_kw={"autocomplete": "off", "maxlength": PASSKEY_NAME_LENGTH},
    )
    credential = HiddenField(filters=[lambda text: text or ""])


class PasskeySignInForm(FlaskForm):
    """Sign in with a passkey; a script fills in the browser's answer."""

    credential = HiddenField(filters=[lambda text: text or ""])
    remember = BooleanField()


class ChangePasswordForm(FlaskForm):
    """Change the password."""

    current_password = make_current_password_field()
    password = make_new_password_field(_l("New password"))
    password_confirm = make_repeat_password_field()


class ApiKeyForm(FlaskForm):
    """Create an API key. Accounts with two-factor authentication confirm it with a code."""

    name = StringField(
        lazy_pgettext("key", "Name"),
        validators=[DataRequired(_l("Enter a name.")), Length(max=NAME_MAX_LENGTH)],
        filters=[lambda text: clean_line(text) if text else text],
        description=_l("For example, the program that will use the key."),
    )
    kind = RadioField(
        _l("Kind"),
        choices=[
            SelectChoice(KeyKind.LIVE.value, _l("Live")),
            SelectChoice(
                KeyKind.TEST.value,
                _l("Test: reads everything, but sends nothing and changes only its own tests"),
            ),
        ],
        default=KeyKind.LIVE.value,
    )
    scopes = ChoicesField(
        _l("Permissions"),
        choices=[SelectChoice(scope.value, name_scope(scope)) for scope in Scope],
        description=_l("If none is selected, the key can do everything."),
    )
    expiry = SelectField(
        _l("Expires"),
        choices=[
            SelectChoice("", _l("Never")),
            SelectChoice("30", _l("In 30 days")),
            SelectChoice("90", _l("In 90 days")),
            SelectChoice("365", _l("In a year")),
        ],
        default="",
    )
    code = make_code_field(_l("Code"), _l("From the app, or one of your recovery codes."))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not current_user.has_two_factor:
            del self.code
