"""How long a letter waits for its next try: by the schedule, or as the server asks."""

from datetime import timedelta

import pytest

from skymailing.delivery.retry import wait_after
from skymailing.delivery.settings import EngineSettings

SETTINGS = EngineSettings()


def test_waits_grow_to_four_hours_and_stay_there() -> None:
    minutes = [wait_after(attempt, "451 later", SETTINGS, 0).total_seconds() / 60 for attempt in range(1, 21)]
    assert minutes == [1, 5, 15, 30, 60, 120, *[240] * 14]


def test_chance_makes_a_wait_a_fifth_shorter_or_longer_at_most() -> None:
    assert wait_after(2, "", SETTINGS, -1) == timedelta(minutes=4)
    assert wait_after(2, "", SETTINGS, 1) == timedelta(minutes=6)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ("4.2.0 Greylisted, try again in 5 min", timedelta(minutes=5)),
        ("4.7.1 retry after 300 seconds", timedelta(seconds=300)),
        ("Please wait 2 hours", timedelta(hours=2)),
        ("TRY AGAIN IN 90S", timedelta(seconds=90)),
        ("try again in 0 s", timedelta(seconds=1)),
        ("try again in 40 hours", timedelta(hours=24)),
        ("try again later. Session 15 hung up", timedelta(minutes=1)),
        ("4.3.0 queue 12 minutes long", timedelta(minutes=1)),
    ],
)
def test_what_a_server_asks_for_is_done_within_a_day_and_nothing_else_is_taken_for_it(
    answer: str, wait: timedelta
) -> None:
    for luck in (-1.0, 1.0):
        if wait == timedelta(minutes=1):
            assert wait_after(1, answer, SETTINGS, luck) == wait * (1 + luck / 5)
        else:
            assert wait_after(7, answer, SETTINGS, luck) == wait
