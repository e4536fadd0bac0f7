"""Show the links that people followed, and at which hours they clicked."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import func, select

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.extensions import db
from skymailing.mailings.good_hour import count_clicks
from skymailing.models import Mailing, Run, RunInterval, RunLink
from skymailing.reports.aggregates import Scope, Selection
from skymailing.reports.periods import Period

LINKS = 10
HOURS = 24
FEWEST = 20  # people who clicked; fewer say little about an hour
SECONDS = 1.0  # for both together


@dataclass(frozen=True, slots=True)
class FollowedLink:
    """A link, and the number of letters in which it was followed."""

    url: str
    label: str
    people: int


@dataclass(frozen=True, slots=True)
class Clicks:
    """The most followed links, and the number of first clicks by hour of the day; empty if there are few."""

    links: Sequence[FollowedLink] = ()
    hours: Sequence[int] = ()


def read_clicks(scope: Scope, period: Period) -> Clicks:
    """Return the clicks of a period; what would take too long is left out."""
    links: Sequence[FollowedLink] = ()
    hours: Sequence[int] = ()
    with suppress(TookTooLong), limit_time(SECONDS):
        hours = _count_by_hour(scope, period)
        links = _list_links(scope, period)
    return Clicks(links, hours)


def _list_links(scope: Scope, period: Period) -> Sequence[FollowedLink]:
    """Return the most followed links of the runs that started in the period; their clicks may be later."""
    people = func.sum(RunLink.people)
    started = (Run.started_at >= period.begins_at) & (Run.started_at < period.ends_at)
    statement = (
        select(RunLink.url, func.max(RunLink.label), people)
        .join(Run, Run.id == RunLink.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(RunLink.people > 0, started, Run.track_clicks)
        .group_by(RunLink.url)
        .order_by(people.desc(), RunLink.url)
        .limit(LINKS)
    )
    if scope.mailing_id is not None:
        statement = statement.where(Mailing.id == scope.mailing_id)
    else:
        statement = statement.where(Mailing.owner_id == scope.owner_id)
    rows = db.session.execute(statement).tuples()
    return [FollowedLink(url, label, int(number)) for url, label, number in rows]


def _count_by_hour(scope: Scope, period: Period) -> Sequence[int]:
    selection = Selection(scope, [(period.begins_at, period.ends_at)])
    counts: Counter[int] = Counter()
    for (_weekday, hour), people in count_clicks(selection.condition(RunInterval), period.zone).items():
        counts[hour] += people
    hours = [max(0, counts[hour]) for hour in range(HOURS)]
    return hours if sum(hours) >= FEWEST else ()
