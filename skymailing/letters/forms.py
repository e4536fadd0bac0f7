"""The form that filters transactional letters."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SearchField, SelectField
from wtforms.validators import Length

from skymailing.models import DeliveryState
from skymailing.web.form_fields import strip
from skymailing.web.labels import state_label


class LetterFilterForm(FlaskForm):
    """A filter in the query string, so without a CSRF token."""

    class Meta:
        csrf = False

    q = SearchField(_l("Address or reference"), [Length(max=320)], filters=[strip])
    state = SelectField(_l("State"), default="")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.state.choices = [
            ("", _("all states")),
            *((state.value, state_label(state)) for state in DeliveryState),
        ]
