"""Note requests for links and tracking images in Redis, without a database statement.

The sweep adds them to the counts (`folding`). Without Redis, links still work, and hits are counted as lost.
"""

import logging
import re
import time
from dataclasses import dataclass
from threading import Lock

from skymailing.caching.invalidation import shared_cache
from skymailing.delivery.rendering.click_tokens import ClickToken
from skymailing.tracking.devices import Device
from skymailing.tracking.machines import Visitor

logger = logging.getLogger(__name__)

# Lists, the oldest first. Earlier versions cannot read hits with a device, so those have a separate list.
HITS, EARLIER_HITS = "skymailing:hits-2", "skymailing:hits"
TRACKING_IMAGE = 0  # the number of the tracking image; links are numbered from 1
# About 40 MB in Redis. More hits between two sweeps are an attack.
MAX_WAITING = 1_000_000
LOST = "hits_lost"  # counter
# As `NotedHit.encode` writes it; the database can store all of these numbers.
HIT = re.compile(rb"(\d{1,10}) (\d{1,18}) (\d{1,4}) (\d{1,14}) ([pma])([ptc]?)")

_lock = Lock()
_lost = 0  # not yet added to the counter


@dataclass(frozen=True, slots=True)
class NotedHit:
    """A request for a letter's link or tracking image, at a time in milliseconds since 1970.

    The device is read only until the hit is added to the counts.
    """

    run_id: int
    delivery_id: int
    number: int
    at: int
    visitor: Visitor
    device: Device = Device.UNKNOWN

    def encode(self) -> str:
        return f"{self.run_id} {self.delivery_id} {self.number} {self.at} {self.visitor}{self.device}"


def decode(text: bytes) -> NotedHit | None:
    """Return the hit that `encode` wrote; None if the text is anything else."""
    found = HIT.fullmatch(text)
    if found is None:
        return None
    run_id, delivery_id, number, at = map(int, found.groups()[:4])
    return NotedHit(run_id, delivery_id, number, at, Visitor(found[5].decode()), Device(found[6].decode()))


def count_unreadable(count: int) -> None:
    """Add hits that cannot be read to the number of lost ones."""
    logger.warning("%d clicks and opens could not be read", count)
    from skymailing import counters  # slow to import, so commands avoid it

    counters.add({LOST: count})


def note_now(letter: ClickToken, number: int, visitor: Visitor, device: Device = Device.UNKNOWN) -> None:
    """Note a hit that arrives now."""
    at = int(time.time() * 1000)
    note(NotedHit(letter.run_id, letter.delivery_id, number, at, visitor, device))


def note(hit: NotedHit) -> None:
    """Note a hit, or count it as lost if Redis is unavailable or too many hits are waiting."""
    waiting = shared_cache().push(HITS, hit.encode())
    if waiting is None:
        _lose(1)
    elif waiting > MAX_WAITING:
        shared_cache().run(lambda redis: redis.ltrim(HITS, 0, MAX_WAITING - 1))
        _lose(waiting - MAX_WAITING)
    elif _lost:
        _report_lost()


def _lose(count: int) -> None:
    global _lost
    with _lock:
        _lost += count


def _report_lost() -> None:
    """Add the lost hits to the counter, now that Redis is available again."""
    global _lost
    with _lock:
        count, _lost = _lost, 0
    if count:
        logger.warning("%d clicks and opens were lost while Redis was unavailable", count)
        from skymailing import counters  # slow to import, so commands avoid it

        counters.add({LOST: count})
