"""The report's filters: a period, and one mailing or all of them."""

from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField

from skymailing.mailings.log_queries import MailingChoices
from skymailing.reports.periods import InvalidPeriod, Period, choose_period
from skymailing.web.error_texts import explain
from skymailing.web.form_fields import PeriodForm
from skymailing.web.i18n import get_user_zone
from skymailing.web.ids import read_id


class ReportForm(PeriodForm):
    """The filters in the page's URL; `read_period` also validates them."""

    mailing = SelectField(_l("Mailing"), coerce=read_id, validate_choice=False, default=0)

    def __init__(self, choices: MailingChoices, now: datetime, **options: Any) -> None:
        super().__init__(**options)
        self.now = now
        self.mailing.choices = [(0, _("all mailings")), *choices.mailings]
        self.offers_all = choices.is_complete

    def read_period(self) -> Period | None:
        """Return the period; None if it is invalid, with the errors next to its fields."""
        if not self.validate():
            return None
        try:
            return choose_period(self.since.data, self.until.data, get_user_zone(), self.now)
        except InvalidPeriod as error:
            self.until.errors = [*self.until.errors, explain(error)]
            return None
