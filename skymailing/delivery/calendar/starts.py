"""Find when a mailing starts; occurrences that wait for the same sending hours share a run."""

from datetime import datetime
from zoneinfo import ZoneInfo

from skymailing.delivery.calendar.recurrence import Recurrence, find_latest_occurrence, find_next_occurrence
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.models import Mailing


def find_latest_start(mailing: Mailing, now: datetime) -> datetime:
    """Return the last occurrence not later than `now`; the first one if there is none."""
    zone = ZoneInfo(mailing.owner.timezone)
    return find_latest_occurrence(mailing.starts_at, Recurrence.of(mailing), zone, now)


def find_next_start(mailing: Mailing, hours: SendingHours, occurrence: datetime) -> datetime | None:
    """Return the first later occurrence that does not share the run of `occurrence`.

    Occurrences that wait for the same sending hours share one run: a daily mailing that sends from
    Monday to Friday sends one letter on Monday morning, not three.
    """
    opening = hours.find_next_opening(occurrence)
    rule = Recurrence.of(mailing)
    following = find_next_occurrence(mailing.starts_at, rule, hours.zone, occurrence)
    while following is not None and opening is not None and hours.find_next_opening(following) == opening:
        following = find_next_occurrence(mailing.starts_at, rule, hours.zone, following)
    return following
