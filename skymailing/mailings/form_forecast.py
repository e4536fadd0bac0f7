"""Forecast the upcoming sends of a mailing's form, saved or not."""

from typing import Any
from zoneinfo import ZoneInfo

from skymailing.mailings import forecast, scheduling
from skymailing.mailings.forecast import Reach
from skymailing.mailings.formats import format_clock_time, format_rate
from skymailing.mailings.forms import MailingForm
from skymailing.models import Mailing


def find_zone(form: MailingForm) -> ZoneInfo:
    return ZoneInfo(form.owner.timezone)


def read_times(form: MailingForm) -> Mailing:
    """Return a mailing, which belongs to no session, with the times of a form, which must be valid."""
    changed = Mailing()
    form.values.apply_times_to(changed, form.now)
    return changed


def forecast_form(form: MailingForm, mailing: Mailing | None, reach: Reach | None) -> dict[str, Any]:
    """Return the context of `mailings/_forecast.html` for a form that has been validated or just opened."""
    errors = [error for name in form.TIMES if name in form for error in form[name].errors]
    is_unreadable = any(form.has_error(name) for name in form.CHOICES)
    if errors or is_unreadable or form.is_fixed or form.ends_at.data is None:
        return {"forecast": None, "pace": "", "errors": errors}
    values, changed = form.values, read_times(form)
    first = scheduling.find_start_after_change(mailing, changed, form.now, find_zone(form))
    hours = values.sending_hours(find_zone(form))
    context = make_forecast_context(forecast.forecast_starts(changed, hours, first, reach, form.now))
    return context | {"has_test": bool(values.variants)}


def make_forecast_context(result: forecast.Forecast | None, *, has_test: bool = False) -> dict[str, Any]:
    """Return the context of `mailings/_forecast.html` for a forecast."""
    pace = format_rate(result.rate) if result and result.rate else ""
    return {
        "forecast": result,
        "pace": pace,
        "errors": [],
        "clock_time": format_clock_time,
        "has_test": has_test,
    }
