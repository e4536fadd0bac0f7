"""Recognize scanners that follow all links of a letter within seconds.

The time since the letter was sent does not help: half of the scanners come after 40 seconds or more, when
people are reading, too. But no person follows three links of one letter within two seconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from skymailing.tracking.devices import Device

WINDOW = 2_000  # milliseconds
MIN_LINKS = 3  # different links of one letter


@dataclass(slots=True)
class Hit:
    """A request for a link of a letter, at a time in milliseconds since 1970."""

    number: int
    at: int
    is_person: bool
    # Whether an earlier fold has already counted it.
    is_counted: bool = False
    device: Device = Device.UNKNOWN


def find_bursts(hits: Sequence[Hit], link_count: int) -> list[int]:
    """Return the positions of the hits that are part of a burst; all are of one letter, ordered by time.

    A burst has MIN_LINKS different links within WINDOW, or both links if the letter has only two.
    """
    needed = min(MIN_LINKS, max(link_count, 2))
    found: list[int] = []
    in_window: Counter[int] = Counter()
    start = 0
    for end, hit in enumerate(hits):
        in_window[hit.number] += 1
        while hit.at - hits[start].at > WINDOW:
            in_window[hits[start].number] -= 1
            if not in_window[hits[start].number]:
                del in_window[hits[start].number]
            start += 1
        if len(in_window) >= needed:
            first = max(start, found[-1] + 1 if found else 0)
            found.extend(range(first, end + 1))
    return found
