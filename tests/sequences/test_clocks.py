"""Test sequences on days when the clock skips or repeats midnight."""

from datetime import UTC, datetime, time, timedelta

import pytest

from skymailing.models import Trigger, User
from tests.support.factories import ClientFactory
from tests.support.sequence_factories import Sequences, days

# Times are computed in Python; `test_entering` tests anniversaries on both databases.
pytestmark = pytest.mark.one_engine

HOUR = timedelta(hours=1)
# In Cairo, 24 April 2026 begins at 1:00; in Havana, 1 November 2026 has the hour from 0:00 to 1:00 twice.
SKIPPED = datetime(2026, 4, 23, 22, tzinfo=UTC)
REPEATED = datetime(2026, 11, 1, 4, tzinfo=UTC)
HALF_PAST = time(0, 30)


def count_by_half_hours(sequences: Sequences, begin: datetime, count: int) -> list[int]:
    """Sweep every half hour, and return the number of letters after each sweep."""
    counts = []
    for number in range(count):
        sequences.sweep(begin + number * HOUR / 2)
        sequences.deliver(begin + number * HOUR / 2)
        counts.append(sum(sum(sequences.count_letters(each)) for each in sequences.list_all()))
    return counts


def set_zone(sequences: Sequences, zone: str) -> None:
    sequences.owner.timezone = zone
    sequences.session.flush()


@pytest.mark.parametrize(
    ("at_time", "entered"),
    [(HALF_PAST, SKIPPED - 10 * HOUR), (None, SKIPPED - 23.5 * HOUR), (time(), SKIPPED - 10 * HOUR)],
    ids=["at a time", "after a day", "at midnight"],
)
def test_a_skipped_time_is_due_when_the_day_begins(
    sequences: Sequences, user: User, at_time: time | None, entered: datetime
) -> None:
    set_zone(sequences, "Africa/Cairo")
    sequence = sequences.create(days(1, at_time=at_time), now=entered)
    sequences.add(sequence, ClientFactory.create(owner=user), now=entered)
    assert count_by_half_hours(sequences, SKIPPED - 2 * HOUR, 6) == [0, 0, 0, 0, 1, 1]


def test_a_repeated_time_counts_once_a_day(sequences: Sequences, user: User) -> None:
    set_zone(sequences, "America/Havana")
    entered = REPEATED - 10 * HOUR
    daily = days(1, at_time=HALF_PAST)
    sequence = sequences.create(daily, days(0, at_time=HALF_PAST), daily, now=entered)
    sequences.add(sequence, ClientFactory.create(owner=user), now=entered)
    assert count_by_half_hours(sequences, REPEATED, 8) == [0, 2, 2, 2, 2, 2, 2, 2]
    # On the next day, 0:30 is an hour later, because the clock shows winter time.
    assert count_by_half_hours(sequences, REPEATED + 24.5 * HOUR, 4) == [2, 2, 3, 3]


@pytest.mark.parametrize(
    ("zone", "midnight", "birthday"),
    [
        ("Africa/Cairo", SKIPPED, "1990-04-24"),
        ("America/Havana", REPEATED, "1990-11-01"),
        ("Asia/Beirut", datetime(2026, 3, 28, 22, tzinfo=UTC), "1990-03-29"),
    ],
)
def test_an_anniversary_begins_once(
    sequences: Sequences, user: User, zone: str, midnight: datetime, birthday: str
) -> None:
    set_zone(sequences, zone)
    ClientFactory.create(owner=user, attributes={"birthday": birthday})
    sequences.create(days(0), now=midnight - 9 * HOUR, trigger=Trigger.DATE, date_key="birthday")
    counts = count_by_half_hours(sequences, midnight - 2 * HOUR, 60)
    assert counts == [0] * 4 + [1] * 56
