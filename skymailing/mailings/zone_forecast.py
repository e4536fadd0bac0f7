"""Forecast when clients in different time zones get a mailing at local time."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from skymailing.delivery.audience.recipients import is_suppressed
from skymailing.delivery.calendar.local_times import LocalStart, find_due_times, find_zone
from skymailing.extensions import db
from skymailing.mailings.selection import Conditions
from skymailing.models import Client, OnPassed, User


@dataclass(frozen=True)
class ZoneForecast:
    """When the first and the last letters of a run are due, and how many clients are special cases."""

    first: datetime
    last: datetime
    unknown: int  # without a time zone
    passed: int  # whose time has passed when the run is planned
    on_passed: OnPassed
    too_late: int  # whose time comes after the end


def count_zones(owner: User, conditions: Conditions) -> Mapping[str, int]:
    """Return how many clients in each time zone get the letter; "" is for those without one."""
    counts: Counter[str] = Counter()
    statement = select(Client.timezone, func.count()).where(Client.owner_id == owner.id, ~is_suppressed())
    for condition in conditions:
        rows = db.session.execute(statement.where(condition).group_by(Client.timezone)).tuples()
        counts.update(dict(rows.all()))
    return counts


def forecast_zones(start: LocalStart, counts: Mapping[str, int], now: datetime) -> ZoneForecast | None:
    """Return the forecast of a start for an audience; None if there are no clients."""
    if not counts:
        return None
    zones = {name: find_zone(name, start.hours.zone) for name in counts}
    planned_at = max(now, start.find_earliest(zones.values()))
    due = find_due_times(start, counts, planned_at)
    times = {name: max(due[name], planned_at) for name in counts}
    in_time = [at for at in times.values() if at < start.ends_at] or list(times.values())
    return ZoneForecast(
        first=min(in_time),
        last=max(in_time),
        unknown=counts.get("", 0),
        passed=sum(count for name, count in counts.items() if start.has_passed(zones[name], planned_at)),
        on_passed=start.on_passed,
        too_late=sum(count for name, count in counts.items() if times[name] >= start.ends_at),
    )
