"""The form of an endpoint."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length

from skymailing.models import OFFERED_TYPES
from skymailing.models.webhook import URL_MAX_LENGTH
from skymailing.web.form_fields import ChoicesField, strip
from skymailing.webhooks.services import EndpointValues
from skymailing.webhooks.words import EVENT_WORDS


class EndpointForm(FlaskForm):
    """A new or existing endpoint."""

    url = StringField(
        _l("Address"),
        [DataRequired(_l("Enter the address.")), Length(max=URL_MAX_LENGTH)],
        filters=[strip],
        description=_l("Begins with https://. Events are sent there as POST requests."),
    )
    events = ChoicesField(
        _l("Events"), choices=[SelectChoice(type_.value, EVENT_WORDS[type_]) for type_ in OFFERED_TYPES]
    )

    @property
    def values(self) -> EndpointValues:
        """The validated input."""
        return EndpointValues(url=self.url.data or "", events=self.events.data or [])
