"""The form that filters a log."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, SearchField, SelectField
from wtforms.validators import Length

from skymailing.mailings.log_queries import MailingChoices
from skymailing.models import Outcome
from skymailing.web.form_fields import PeriodForm, strip
from skymailing.web.ids import read_id
from skymailing.web.labels import state_label


class IdField(HiddenField):
    """A posted ID; 0 if there is none."""

    def process_formdata(self, values: list[str]) -> None:
        self.data = read_id(values[0]) if values else 0


class LogFilterForm(PeriodForm):
    """The form that filters a log."""

    q = SearchField(_l("Address"), [Length(max=320)], filters=[strip])
    mailing = SelectField(_l("Mailing"), coerce=read_id, validate_choice=False, default=0)
    run = IdField()
    outcome = SelectField(_l("Outcome"), default="")

    def __init__(self, choices: MailingChoices, **options: Any) -> None:
        super().__init__(**options)
        self.mailing.choices = [(0, _("all mailings")), *choices.mailings]
        self.lists_all_mailings = choices.is_complete
        self.outcome.choices = [
            ("", _("all outcomes")),
            *((item.value, state_label(item)) for item in Outcome),
        ]
