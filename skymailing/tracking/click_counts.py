"""Count the clicks of people and of machines on the links in letters.

All clicks of a burst count as a machine's, even if an earlier fold counted some of them as a person's.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select

from skymailing.db.engine import is_in
from skymailing.delivery.variants.samples import sent_variant
from skymailing.models import Click, Delivery, Run, RunLink
from skymailing.models.tracking import variant_bit
from skymailing.tracking.bursts import Hit, find_bursts
from skymailing.tracking.devices import Device
from skymailing.tracking.hits import NotedHit
from skymailing.tracking.machines import Visitor

MAX_HITS = 1_000  # hits of one letter that are examined per slice; further hits can only come from a machine
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class LinkClicks:
    """The clicks on one link in one letter."""

    first_at: int  # a person's first click, or a machine's if no person clicked
    last_at: int
    was_person: bool = False
    clicks: int = 0
    machine_clicks: int = 0

    def count(self, at: int, *, is_person: bool) -> None:
        """Add a click."""
        if is_person:
            self.first_at = min(self.first_at, at) if self.clicks else at
            self.clicks += 1
        else:
            self.machine_clicks += 1
        if at >= self.last_at:
            self.last_at, self.was_person = at, is_person

    def reassign_last(self) -> None:
        """Count the last click as a machine's instead of a person's."""
        self.clicks, self.machine_clicks, self.was_person = self.clicks - 1, self.machine_clicks + 1, False


@dataclass(slots=True)
class LetterClicks:
    """The clicks on all links of one letter, by link number."""

    delivery_id: int
    run_id: int
    mailing_id: int
    variant: int  # the variant that it contains; 0 without a test
    links: dict[int, LinkClicks] = field(default_factory=dict)
    # The stored counts: people's clicks and machines' clicks, by link number.
    stored: dict[int, tuple[int, int]] = field(default_factory=dict)
    device: Device | None = None  # of the first new click that counts as a person's

    @property
    def clicks(self) -> int:
        return sum(link.clicks for link in self.links.values())

    @property
    def was_clicked(self) -> bool:
        """Whether a person's click is stored."""
        return any(clicks for clicks, _machine_clicks in self.stored.values())

    def add(self, hits: Sequence[NotedHit], link_count: int) -> None:
        """Add hits; earlier clicks that turn out to be part of a burst are counted as a machine's."""
        if len(hits) == 1 and not self.links:  # most letters; the code below takes three times as long
            self._count(hits[0], is_person=hits[0].visitor is Visitor.PERSON)
            return
        earlier = [
            Hit(number, link.last_at, link.was_person, is_counted=True) for number, link in self.links.items()
        ]
        new = [
            Hit(hit.number, hit.at, hit.visitor is Visitor.PERSON, device=hit.device)
            for hit in hits[:MAX_HITS]
        ]
        ordered = sorted([*earlier, *new], key=lambda hit: hit.at)
        in_burst = set(find_bursts(ordered, link_count))
        for position, hit in enumerate(ordered):
            is_person = hit.is_person and position not in in_burst
            if not hit.is_counted:
                self._count(hit, is_person=is_person)
            elif hit.is_person and not is_person:
                self.links[hit.number].reassign_last()
        for late in hits[MAX_HITS:]:
            self._count(late, is_person=False)

    def _count(self, hit: Hit | NotedHit, *, is_person: bool) -> None:
        if is_person and self.device is None:
            self.device = hit.device
        self._find(hit.number, hit.at).count(hit.at, is_person=is_person)

    def _find(self, number: int, at: int) -> LinkClicks:
        return self.links.setdefault(number, LinkClicks(at, at))


def count_clicks(connection: Connection, hits: Sequence[NotedHit]) -> list[LetterClicks]:
    """Return the letters with these hits and their new counts; hits of removed letters are ignored."""
    letters = _find_letters(connection, hits)
    _read_stored(connection, letters)
    link_counts = _count_links(connection, {(letter.run_id, letter.variant) for letter in letters.values()})
    by_letter: dict[int, list[NotedHit]] = defaultdict(list)
    for hit in hits:
        letter = letters.get(hit.delivery_id)
        # A database can reuse the ID of a removed letter.
        if letter is not None and letter.run_id == hit.run_id:
            by_letter[hit.delivery_id].append(hit)
    for id, own_hits in by_letter.items():
        letters[id].add(own_hits, link_counts[letters[id].run_id, letters[id].variant])
    return [letters[id] for id in sorted(by_letter)]


def _find_letters(connection: Connection, hits: Iterable[NotedHit]) -> dict[int, LetterClicks]:
    ids = sorted({hit.delivery_id for hit in hits})
    columns = (Delivery.id, Delivery.run_id, Run.mailing_id, sent_variant())
    found = select(*columns).join(Run, Run.id == Delivery.run_id)
    rows = connection.execute(found.where(is_in(Delivery.id, ids))).tuples()
    return {row[0]: LetterClicks(*row) for row in rows}


def _read_stored(connection: Connection, letters: Mapping[int, LetterClicks]) -> None:
    columns = (Click.first_at, Click.last_at, Click.was_person, Click.clicks, Click.machine_clicks)
    stored = select(Click.delivery_id, Click.number, *columns)
    for id, number, *values in connection.execute(stored.where(is_in(Click.delivery_id, sorted(letters)))):
        link = LinkClicks(*values)
        letters[id].links[number] = link
        letters[id].stored[number] = link.clicks, link.machine_clicks


def _count_links(connection: Connection, letters: Iterable[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
    """Return how many links the letters of each run and variant contain."""
    variants: dict[int, list[int]] = defaultdict(list)
    for run_id, variant in letters:
        variants[run_id].append(variant)
    links = select(RunLink.run_id, RunLink.variants).where(is_in(RunLink.run_id, sorted(variants)))
    return Counter(
        (run_id, variant)
        for run_id, bits in connection.execute(links).tuples()
        for variant in variants[run_id]
        # A link without bits belongs to all letters.
        if not variant or not bits or bits & variant_bit(variant)
    )


def to_milliseconds(moment: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def to_time(milliseconds: int) -> datetime:
    """Return the time at a number of milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=milliseconds)
