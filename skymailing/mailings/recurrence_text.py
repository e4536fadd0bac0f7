"""Say how often a mailing is sent."""

from flask_babel import get_locale, ngettext, pgettext
from flask_babel import gettext as _

from skymailing.models import Mailing, Periodicity, RepeatUnit
from skymailing.web.labels import state_label


def describe_recurrence(mailing: Mailing) -> str:
    """Return how often a mailing is sent, such as "every 2 weeks: Monday, Friday"."""
    if mailing.periodicity is not Periodicity.CUSTOM:
        return str(state_label(mailing.periodicity))
    rhythm = count_units(mailing.repeat_unit, mailing.repeat_every)
    if mailing.repeat_on_last_day:
        return str(_("%(rhythm)s, on the last day", rhythm=rhythm))
    if not mailing.repeat_weekdays:
        return rhythm
    names = get_locale().days["stand-alone"]["wide"]
    return f"{rhythm}: {', '.join(names[int(day) - 1] for day in mailing.repeat_weekdays)}"


def count_units(unit: RepeatUnit, count: int) -> str:
    """Return text such as "every 2 weeks"."""
    if count == 1:
        return str(
            {
                RepeatUnit.DAY: pgettext("recurrence", "every day"),
                RepeatUnit.WEEK: pgettext("recurrence", "every week"),
                RepeatUnit.MONTH: pgettext("recurrence", "every month"),
                RepeatUnit.YEAR: pgettext("recurrence", "every year"),
            }[unit]
        )
    match unit:
        case RepeatUnit.DAY:
            text = ngettext("every %(num)d day", "every %(num)d days", count)
        case RepeatUnit.WEEK:
            text = ngettext("every %(num)d week", "every %(num)d weeks", count)
        case RepeatUnit.MONTH:
            text = ngettext("every %(num)d month", "every %(num)d months", count)
        case RepeatUnit.YEAR:
            text = ngettext("every %(num)d year", "every %(num)d years", count)
    return str(text)
