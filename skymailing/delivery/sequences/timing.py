"""Calculate when steps are due and when their letters are late, in the owner's time zone."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.models import EVERY_DAY, Sequence, SequenceStep, WaitUnit

DAY = timedelta(days=1)


def hours_of(sequence: Sequence) -> SendingHours:
    """Return the sending hours of a sequence."""
    zone = ZoneInfo(sequence.owner.timezone)
    return SendingHours(sequence.weekdays, sequence.opens_at, sequence.closes_at, zone)


def find_due(step: SequenceStep, since: datetime, zone: ZoneInfo) -> datetime:
    """Return when a step is due for clients who have waited for it `since`.

    Days are calendar days: the local time stays the same when the clocks change. With a time of day, the step
    is due at the first such time at or after the end of the wait; waits in days count from the beginning of
    the day.
    """
    if step.wait_unit is not WaitUnit.DAYS:
        end = since + timedelta(**{step.wait_unit.value: step.wait})
        return end if step.at_time is None else _find_time(end, step.at_time, zone)
    if step.at_time is None:
        local = since.astimezone(zone)
        return _on_clock(local + timedelta(days=step.wait), zone) if step.wait else since
    if step.wait == 0:
        return _find_time(since, step.at_time, zone)
    day = since.astimezone(zone).date() + timedelta(days=step.wait)
    return _every_day(zone).find_hour(day, step.at_time)


def find_midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return when the day that contains `moment` began."""
    return _every_day(zone).find_hour(moment.astimezone(zone).date(), time())


def _find_time(moment: datetime, at: time, zone: ZoneInfo) -> datetime:
    """Return when the clock first shows this time of day, at or after `moment`."""
    day = moment.astimezone(zone).date()
    hours = _every_day(zone)
    found = hours.find_hour(day, at)
    return found if found >= moment else hours.find_hour(day + DAY, at)


def _on_clock(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clock shows this local time, or a later one if the clock skips it."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    return _every_day(zone).find_hour(local.date(), local.time().replace(microsecond=0))


def _every_day(zone: ZoneInfo) -> SendingHours:
    return SendingHours(EVERY_DAY, None, None, zone)
