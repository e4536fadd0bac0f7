"""Predict problems with a mailing's A/B test, for the form's summary."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from skymailing.mailings.forecast import Forecast
from skymailing.mailings.formats import format_clock_time
from skymailing.mailings.forms import MailingForm
from skymailing.mailings.variants import list_contents
from skymailing.models import Message, MessageFormat, OpenTracking, WinnerBy

# With fewer letters, most differences are due to chance.
FEW_LETTERS = 100


@dataclass(frozen=True, slots=True)
class ExpectedTest:
    """The next test of a mailing: its size, and when the other clients get their letters."""

    variants: int
    letters: int | None  # for each variant; None if unknown
    is_chosen: bool  # the owner, not the number of clicks, decides the winner
    is_small: bool  # so few letters that a difference may be due to chance
    has_next: bool  # the next start comes before the winner is known, so it has to wait
    ends_first: bool = False  # the mailing ends before the other clients can get the winner
    waits_until: str = ""  # when the sending hours open after the decision; empty if they are open then


def forecast_test(form: MailingForm, forecast: Forecast | None) -> ExpectedTest | None:
    """Return what to expect of the test in a form; None if there is no test or the form cannot be read."""
    if form.is_fixed or not form.values.variants or form.has_test_error:
        return None
    values = form.values
    count = 1 + len(values.variants)
    letters = None
    if forecast and forecast.reach:
        letters = forecast.reach.letters * values.sample_percent // (100 * count)
    is_small = letters is not None and letters < FEW_LETTERS
    is_chosen = values.winner_by is WinnerBy.OWNER
    occurrences = forecast.occurrences if forecast else ()
    if is_chosen or not forecast or not occurrences or occurrences[0].begins_at is None:
        return ExpectedTest(count, letters, is_chosen, is_small, has_next=is_chosen and len(occurrences) > 1)
    decided_at = occurrences[0].begins_at + timedelta(hours=values.test_hours)
    opens_at = values.sending_hours(ZoneInfo(form.owner.timezone)).find_next_opening(decided_at)
    ends_first = opens_at is None or opens_at >= forecast.ends_at
    has_next = any(occurrence.at <= decided_at for occurrence in occurrences[1:])
    waits_until = _format_opening(decided_at, opens_at) if not ends_first else ""
    return ExpectedTest(count, letters, is_chosen, is_small, has_next, ends_first, waits_until)


def _format_opening(decided_at: datetime, opens_at: datetime | None) -> str:
    return format_clock_time(opens_at, decided_at) if opens_at and opens_at > decided_at else ""


def find_uncountable(form: MailingForm, message: Message | None) -> list[str] | None:
    """Return the names (A to D) of variants in plain text, whose clicks and opens cannot be counted.

    An empty list means that all variants, or the only message, are in plain text; None means that everything
    can be counted.
    """
    values = form.values
    if message is None or not (values.track_clicks or values.track_opens != OpenTracking.OFF):
        return None
    formats = {"A": message.format}
    formats |= {name: one.format for name, one in list_contents(form.owner, message, values.variants)}
    found = [name for name, format in formats.items() if format is MessageFormat.TEXT]
    if not found:
        return None
    return [] if len(found) == len(formats) else found
