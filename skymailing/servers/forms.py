"""The form of a mail server."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from wtforms import IntegerField, PasswordField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from skymailing.models import Security, SmtpServer
from skymailing.models.smtp_server import SERVER_NAME_MAX_LENGTH
from skymailing.servers.services import ServerValues, parse_host
from skymailing.web.form_fields import one_line, strip

# Ports with their encryption; the first suits most providers.
ACCESSES = (
    SelectChoice("465-tls", "465 (SSL/TLS)"),
    SelectChoice("587-starttls", "587 (STARTTLS)"),
    SelectChoice("25-starttls", "25 (STARTTLS)"),
    SelectChoice("2525-starttls", "2525 (STARTTLS)"),
)
MAX_PER_MINUTE = 100_000
MAX_SESSIONS = 20


def describe_access(port: int, security: Security) -> str:
    """Return the value of the form's `access` field."""
    return f"{port}-{security}"


class ServerForm(FlaskForm):
    """A new or existing server; the password is never filled in."""

    name = StringField(
        lazy_pgettext("server", "Name"),
        [DataRequired(_l("Enter a name.")), Length(max=SERVER_NAME_MAX_LENGTH), one_line],
        filters=[strip],
        description=_l("Only you can see it."),
    )
    host = StringField(
        _l("Server address"),
        [DataRequired(_l("Enter the address of the mail server."))],
        filters=[strip],
        description=_l("Your provider calls it “SMTP server” or “outgoing mail”."),
    )
    access = SelectField(_l("Port"), choices=list(ACCESSES))
    username = StringField(
        _l("User name"),
        [DataRequired(_l("Enter the user name.")), Length(max=320), one_line],
        filters=[strip],
        description=_l("Often the email address."),
    )
    password = PasswordField(_l("Password"), [Length(max=1000), one_line])
    rate_per_minute = IntegerField(
        _l("Emails per minute"),
        [Optional(), NumberRange(1, MAX_PER_MINUTE, _l("Enter a number from 1 to 100,000."))],
        description=_l("Your provider's limit. If empty, as many as the server accepts."),
    )
    sessions = IntegerField(
        _l("Simultaneous connections"),
        [
            DataRequired(_l("Enter a number from 1 to 20.")),
            NumberRange(1, MAX_SESSIONS, _l("Enter a number from 1 to 20.")),
        ],
    )

    @property
    def values(self) -> ServerValues:
        """The validated input; raises ServerError if the host name is invalid."""
        port, _dash, security = str(self.access.data).partition("-")
        return ServerValues(
            name=self.name.data or "",
            host=parse_host(self.host.data or ""),
            port=int(port),
            security=Security(security),
            username=self.username.data or "",
            password=self.password.data or "",
            rate_per_minute=self.rate_per_minute.data,
            sessions=self.sessions.data or 1,
        )


def fill_in(server: SmtpServer) -> dict[str, Any]:
    """Return the values of the fields for an existing server."""
    names = ("name", "host", "username", "rate_per_minute", "sessions")
    return {name: getattr(server, name) for name in names} | {
        "access": describe_access(server.port, server.security)
    }
