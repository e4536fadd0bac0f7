"""What a report is about: a period, and one mailing or all."""

from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField

from skymailing.errors import SkyMailingError
from skymailing.mailings.log_queries import MailingChoices
from skymailing.reports.periods import Period, choose_period
from skymailing.web.form_fields import PeriodForm, read_id
from skymailing.web.i18n import user_zone


class ReportForm(PeriodForm):
    """Read from the address of the page; `read_period` is for a form that is valid or not."""

    mailing = SelectField(_l("Mailing"), coerce=read_id, validate_choice=False, default=0)

    def __init__(self, offer: MailingChoices, now: datetime, **options: Any) -> None:
        super().__init__(**options)
        self.now = now
        self.mailing.choices = [(0, _("all mailings")), *offer.mailings]
        self.offers_all = offer.is_complete

    def read_period(self) -> Period | None:
        """Return the period; None when there is something wrong with it, which its fields then say."""
        if not self.validate():
            return None
        try:
            return choose_period(self.since.data, self.until.data, user_zone(), self.now)
        except SkyMailingError as error:
            self.until.errors = [*self.until.errors, str(error)]
            return None
