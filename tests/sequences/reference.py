"""Determine which letters sequences send, in plain Python, one client at a time, without the engine.

Local times are found by reading a clock minute by minute, and anniversaries by comparing dates.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Person:
    """A client."""

    email: str
    birthday: date | None = None
    tags: set[str] = field(default_factory=set)
    is_suppressed: bool = False


@dataclass(frozen=True)
class Step:
    """A letter: how long clients wait for it, and the tag that they must have, if any."""

    wait: timedelta
    at: time | None = None
    needs: str = ""


@dataclass
class Plan:
    """A sequence. Clients enter by a tag, as a member of a segment (those with a tag), or on birthdays."""

    steps: list[Step]
    by_tag: str = ""
    by_segment: str = ""
    by_birthday: bool = False
    reenter_days: int | None = None
    exit_tag: str = ""
    skips_late: bool = False
    weekdays: str = "1234567"
    opens: int = 0
    closes: int = 24
    is_paused: bool = False
    checked_at: datetime | None = None
    checked_on: date | None = None


@dataclass
class Progress:
    """A client's progress in a sequence."""

    entered: datetime
    occasion: int | None
    step: int
    due: datetime | None  # None once it has ended


class Reference:
    """All sequences and clients, and the letters that were planned, by sequence, step and address."""

    def __init__(self, zone: ZoneInfo, plans: list[Plan], people: list[Person]) -> None:
        self.zone, self.plans, self.people = zone, plans, people
        self.letters: Counter[tuple[int, int, str]] = Counter()
        self.enrolments: dict[tuple[int, str], list[Progress]] = {}
        self.signals: list[tuple[int, Person]] = []

    def tag(self, person: Person, tag: str) -> None:
        if tag not in person.tags:
            person.tags.add(tag)
            self.signals += [(n, person) for n, plan in enumerate(self.plans) if plan.by_tag == tag]

    def sweep(self, now: datetime) -> None:
        for number, person in self.signals:
            self.enter(number, person, now, now, None)
        self.signals.clear()
        for number, plan in enumerate(self.plans):
            self.check(number, plan, now)
        for number, plan in enumerate(self.plans):
            while self.advance(number, plan, now):
                pass

    def enter(
        self, number: int, person: Person, since: datetime, now: datetime, occasion: int | None
    ) -> None:
        plan, enrolments = self.plans[number], self.enrolments.setdefault((number, person.email), [])
        if person.is_suppressed or any(enrolment.due is not None for enrolment in enrolments):
            return
        if occasion is not None and any(enrolment.occasion == occasion for enrolment in enrolments):
            return
        if enrolments and occasion is None:
            days = plan.reenter_days
            if days is None or any(enrolment.entered > now - days * DAY for enrolment in enrolments):
                return
        enrolments.append(Progress(now, occasion, 0, find_due(plan.steps[0], since, self.zone)))

    def check(self, number: int, plan: Plan, now: datetime) -> None:
        today = now.astimezone(self.zone).date()
        if not (plan.by_segment or plan.by_birthday):
            return
        is_new_day = plan.by_birthday and plan.checked_on != today
        if plan.checked_at is not None and now - plan.checked_at < HOUR and not is_new_day:
            return
        if plan.by_segment:
            for person in self.people:
                if plan.by_segment in person.tags:
                    self.enter(number, person, now, now, None)
        else:
            first = max(plan.checked_on or today, today - (DAY if plan.skips_late else 366 * DAY))
            for day in list_days(first, today):
                self.congratulate(number, day, now)
        plan.checked_at, plan.checked_on = now, today

    def congratulate(self, number: int, day: date, now: datetime) -> None:
        for person in self.people:
            born = person.birthday
            if born is not None and born < day and anniversary(born, day.year) == day:
                self.enter(number, person, local(day, time(), self.zone), now, day.year)

    def advance(self, number: int, plan: Plan, now: datetime) -> bool:
        if plan.is_paused or not is_open(plan, now, self.zone):
            return False
        has_advanced = False
        for person in self.people:
            for enrolment in self.enrolments.get((number, person.email), ()):
                if enrolment.due is not None and enrolment.due <= now:
                    self.process_step(number, person, enrolment, now)
                    has_advanced = True
        return has_advanced

    def process_step(self, number: int, person: Person, enrolment: Progress, now: datetime) -> None:
        plan = self.plans[number]
        if person.is_suppressed or plan.exit_tag in person.tags:
            enrolment.due = None
            return
        step = plan.steps[enrolment.step]
        assert enrolment.due is not None
        is_late = plan.skips_late and is_too_late(plan, enrolment.due, now, self.zone)
        if not is_late and (not step.needs or step.needs in person.tags):
            self.letters[number, enrolment.step, person.email] += 1
        enrolment.step += 1
        enrolment.due = (
            find_due(plan.steps[enrolment.step], now, self.zone) if enrolment.step < len(plan.steps) else None
        )


def list_days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY


def anniversary(born: date, year: int) -> date:
    try:
        return born.replace(year=year)
    except ValueError:  # 29 February
        return date(year, 2, 28)


@cache
def local(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the first minute at which a clock shows this time or a later one."""
    wanted = datetime.combine(day, at)
    moment = wanted.replace(tzinfo=UTC) - 15 * HOUR
    moment += 14 * HOUR - (moment.astimezone(zone).utcoffset() or timedelta())
    while moment.astimezone(zone).replace(tzinfo=None) < wanted:
        moment += MINUTE
    return moment


def find_due(step: Step, since: datetime, zone: ZoneInfo) -> datetime:
    here = since.astimezone(zone)
    if step.at is not None:
        found = local(here.date() + step.wait, step.at, zone)
        return found if found >= since else local(here.date() + step.wait + DAY, step.at, zone)
    return local(here.date() + step.wait, here.time(), zone) if step.wait else since


def is_open(plan: Plan, moment: datetime, zone: ZoneInfo) -> bool:
    here = moment.astimezone(zone)
    return str(here.isoweekday()) in plan.weekdays and plan.opens <= here.hour < plan.closes


def is_too_late(plan: Plan, due: datetime, now: datetime, zone: ZoneInfo) -> bool:
    """Return whether the letter could have been sent more than a day ago."""
    limit, moment = now - DAY, due
    while moment < limit:
        if is_open(plan, moment, zone):
            return True
        moment += 10 * MINUTE if moment.minute % 10 == 0 else MINUTE
    return False
