"""Run the engine and the reference through the same year of random events."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select

from skymailing.models import (
    Delivery,
    Enrolment,
    OnLate,
    Run,
    Segment,
    Sequence,
    StepLetter,
    Suppression,
    SuppressionReason,
    Trigger,
    client_tags,
)
from skymailing.sequences import services
from tests.sequences.reference import Person, Plan, Reference, Step
from tests.support.factories import ClientFactory
from tests.support.sequence_factories import ACTOR, Sequences, days

BEGIN = datetime(2027, 6, 1, 6, tzinfo=UTC)  # the year has a 29 February
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "Europe/Moscow")
TAGS = ("lead", "quiet", "customer")
DAY = timedelta(days=1)


@dataclass
class Events:
    """The events between two sweeps."""

    tagged: list[tuple[str, Person]] = field(default_factory=list)
    untagged: list[tuple[str, Person]] = field(default_factory=list)
    suppressed: list[Person] = field(default_factory=list)
    toggled: list[int] = field(default_factory=list)  # sequences that are paused or resumed


class Year:
    """Three sequences with their clients: for a welcome, a birthday, and inactive clients."""

    def __init__(self, sequences: Sequences, count: int, chance: random.Random) -> None:
        self.sequences, self.session, self.chance = sequences, sequences.session, chance
        zone = chance.choice(ZONES)
        sequences.owner.timezone = zone
        self.people = [Person(f"person{n}@example.org", self.choose_birthday()) for n in range(count)]
        self.reference = Reference(ZoneInfo(zone), list(make_plans(chance)), self.people)
        self.ids = self.create_clients()
        self.tags = {name: sequences.tag(name).id for name in TAGS}
        self.real = [self.create(plan) for plan in self.reference.plans]

    def choose_birthday(self) -> date | None:
        if self.chance.random() < 0.3:
            return None
        if self.chance.random() < 0.1:
            return date(2000, 2, 29)
        return date(1970, 1, 1) + timedelta(days=self.chance.randrange(20_000))

    def create_clients(self) -> dict[str, int]:
        clients = [
            ClientFactory.build(
                owner=self.sequences.owner,
                email=person.email,
                attributes={"birthday": self.write(person.birthday)} if person.birthday else {},
            )
            for person in self.people
        ]
        return {client.email: client.id for client in ClientFactory.insert(clients)}

    def write(self, day: date) -> str:
        return day.isoformat() if self.chance.random() < 0.5 else f"{day:%d.%m.%Y}"

    def create(self, plan: Plan) -> Sequence:
        values: dict[str, Any] = {
            "reenter_days": plan.reenter_days,
            "on_late": OnLate.SKIP if plan.skips_late else OnLate.SEND,
            "weekdays": plan.weekdays,
        }
        if plan.closes < 24:
            values |= {"opens_at": time(plan.opens), "closes_at": time(plan.closes)}
        if plan.exit_tag:
            values["exit_conditions"] = has_tag(plan.exit_tag)
        if plan.by_tag:
            values |= {"trigger": Trigger.TAG, "tag_id": self.tags[plan.by_tag]}
        elif plan.by_birthday:
            values |= {"trigger": Trigger.DATE, "date_key": "birthday"}
        else:
            owner_id = self.sequences.owner.id
            segment = Segment(owner_id=owner_id, name="Quiet", conditions=has_tag(plan.by_segment))
            self.session.add(segment)
            self.session.flush()
            values |= {"trigger": Trigger.SEGMENT, "segment_id": segment.id}
        steps = [
            days(step.wait.days, at_time=step.at, conditions=has_tag(step.needs) if step.needs else None)
            for step in plan.steps
        ]
        plan.checked_on = BEGIN.astimezone(self.reference.zone).date()
        return self.sequences.create(*steps, now=BEGIN, **values)

    def run(self, sweeps: int) -> None:
        """Spread sweeps over a year, with events in between and one outage."""
        moments = sorted(self.chance.sample(range(1, 365 * 24 * 12), sweeps))
        for number in moments:
            now = BEGIN + timedelta(minutes=5 * number)
            outage = 365 * 24 * 12 // 2 < number < 365 * 24 * 12 // 2 + 12 * 24 * 20
            self.apply(self.draw(), now)
            if not outage:
                self.sequences.sweep(now)
                self.sequences.deliver(now)
                self.reference.sweep(now)

    def draw(self) -> Events:
        """Choose the next events."""
        events = Events()
        for person in self.chance.sample(self.people, max(1, len(self.people) // 25)):
            tag = self.chance.choice(("lead", "lead", "quiet", "quiet", "customer"))
            if self.chance.random() < 0.6:
                events.tagged.append((tag, person))
            else:
                events.untagged.append((tag, person))
            if self.chance.random() < 0.02:
                events.suppressed.append(person)
        if self.chance.random() < 0.02:
            events.toggled.append(self.chance.randrange(len(self.real)))
        return events

    def apply(self, events: Events, now: datetime) -> None:
        new = {(tag, person.email) for tag, person in events.tagged if tag not in person.tags}
        rows = [{"tag_id": self.tags[tag], "client_id": self.ids[email]} for tag, email in sorted(new)]
        if rows:
            self.session.execute(insert(client_tags), rows)
        for tag, person in events.tagged:
            self.reference.tag(person, tag)
        for tag, person in events.untagged:
            person.tags.discard(tag)
            is_row = client_tags.c.client_id == self.ids[person.email]
            self.session.execute(delete(client_tags).where(is_row, client_tags.c.tag_id == self.tags[tag]))
        self.suppress(events.suppressed)
        for number in events.toggled:
            plan, sequence = self.reference.plans[number], self.real[number]
            plan.is_paused = not plan.is_paused
            if plan.is_paused:
                self.sequences.change(sequence, services.pause_sequence)
            else:
                self.sequences.change(sequence, services.start_sequence, now, ACTOR)

    def suppress(self, people: Iterable[Person]) -> None:
        for person in people:
            if not person.is_suppressed:
                person.is_suppressed = True
                row = Suppression(owner_id=self.sequences.owner.id, email_key=person.email)
                row.reason = SuppressionReason.UNSUBSCRIBED
                self.session.add(row)
        self.session.flush()

    def count_letters(self) -> Counter[tuple[int, int, str]]:
        """Return the letters that the engine has planned, as the reference counts them."""
        steps = {}
        for number, sequence in enumerate(self.real):
            for position, step in enumerate(self.sequences.list_steps(sequence)):
                steps[step.mailing_id] = number, position
        letters = select(Run.mailing_id, Delivery.email).join(Run, Run.id == Delivery.run_id)
        return Counter((*steps[mailing], email) for mailing, email in self.session.execute(letters).tuples())

    def check(self) -> None:
        """Compare all letters, and the ledger with the records of planned letters."""
        sent, expected = self.count_letters(), self.reference.letters
        differences = f"sent: {sent - expected}, expected: {expected - sent}"
        assert sent == expected, differences
        planned = self.session.scalars(select(Run.planned)).all()
        assert sum(planned) == self.reference.letters.total()
        step_letters = select(StepLetter.enrolment_id).join(
            Enrolment, Enrolment.id == StepLetter.enrolment_id
        )
        assert len(self.session.scalars(step_letters).all()) == self.reference.letters.total()


def make_plans(chance: random.Random) -> Iterable[Plan]:
    welcome = [Step(0 * DAY), Step(3 * DAY, time(10)), Step(chance.randrange(9) * DAY, None, "customer")]
    yield Plan(welcome, by_tag="lead", skips_late=chance.random() < 0.5)
    yield Plan([Step(0 * DAY, time(9))], by_birthday=True, skips_late=chance.random() < 0.5)
    missed = [Step(0 * DAY), Step(chance.randrange(1, 20) * DAY, time(2, 30))]
    office = {"weekdays": "12345", "opens": 9, "closes": 18} if chance.random() < 0.7 else {}
    yield Plan(
        missed,
        by_segment="quiet",
        reenter_days=60,
        exit_tag="customer",
        skips_late=chance.random() < 0.5,
        **office,  # type: ignore[arg-type]  # a dictionary has one type of values
    )


def has_tag(name: str) -> dict[str, str]:
    return {"field": "tag", "op": "is", "value": name}
