"""Choose letters when recipient domains have a rate limit, so that a limited domain does not delay the rest.

A worker reads a run's pending letters once, in order of ID. It remembers the IDs that it has to skip because
their domain has reached its limit for this second. So each letter is read once, and letters to a limited
domain are available in the next second. The remembered IDs are only a hint: the rows show which letters are
still pending. A letter that returns to pending behind the worker's position is found by the next scan.
"""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, select

from skymailing.clock import utcnow
from skymailing.db.engine import is_one_of
from skymailing.delivery.local_runs import is_due
from skymailing.delivery.routing.rate_limits import RateLimits, get_domain, wait_for_next_second
from skymailing.delivery.variants.samples import IS_PENDING_IN_SAMPLE
from skymailing.models import Delivery, DeliveryState

ROWS_PER_QUERY = 5_000
MAX_ROWS_PER_CLAIM = 20_000  # so that the worker notices when the mailing is paused
IDS_PER_CHECK = 1_000
# The time between scans while only limited domains have letters left; a scan finds letters that returned
# to pending.
RESCAN_SECONDS = 60.0


class DomainQueue:
    """One worker's position in one run, whose letters are limited per second and domain by `rates`.

    With `in_sample`, the queue contains only the sample of the run's test; with `at_local_time`, only letters
    whose local start time has been reached.
    """

    def __init__(
        self,
        run_id: int,
        rates: RateLimits,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        in_sample: bool = False,
        at_local_time: bool = False,
    ) -> None:
        assert rates.per_domain
        self._run_id = run_id
        self._is_pending = IS_PENDING_IN_SAMPLE if in_sample else Delivery.state == DeliveryState.PENDING
        self._at_local_time = at_local_time
        self._domain_limit = rates.per_domain
        self._has_room = rates.has_room
        self._monotonic = monotonic
        self._rescan()

    def _rescan(self) -> None:
        # The IDs of skipped letters, by domain; eight bytes each.
        self._skipped: dict[str, array[int]] = {}
        self._position = 0
        self._is_at_end = False
        self._scan_began_at = self._monotonic()

    def wait_for_more(self) -> bool:
        """After an empty claim, wait until skipped letters may be sent; return whether any may be left."""
        if self._is_at_end and self._skipped:
            wait_for_next_second()
        return not self._is_at_end or bool(self._skipped)

    def begin_claim(self) -> None:
        """Start a new scan once all letters are picked, and regularly while only limited domains are left."""
        is_overdue = self._monotonic() - self._scan_began_at > RESCAN_SECONDS
        if self._is_at_end and (is_overdue or not self._skipped):
            self._rescan()
        self._rows_left = MAX_ROWS_PER_CLAIM

    def pick(self, connection: Connection, limit: int) -> list[int]:
        """Return the IDs of up to `limit` letters that were pending, within each domain's limit."""
        picked: list[int] = []
        counts: Counter[str] = Counter()
        for domain in [name for name in self._skipped if self._has_room(name)]:
            ids = self._skipped[domain]
            count = min(len(ids), self._domain_limit, limit - len(picked))
            picked += ids[:count]
            counts[domain] = count
            self._replace_first(domain, count)
        self._scan_ahead(connection, picked, counts, limit)
        return picked

    def requeue(self, letters: Iterable[tuple[int, str]]) -> None:
        """Return picked letters (ID and address) that are still pending to the front of the queue."""
        returned: dict[str, list[int]] = {}
        for id, email in letters:
            returned.setdefault(get_domain(email), []).append(id)
        for domain, ids in returned.items():
            self._replace_first(domain, 0, ids)

    def drop_claimed(self, connection: Connection) -> None:
        """Remove from the front of each domain's queue the letters that other workers have claimed."""
        for domain in list(self._skipped):
            pending: Sequence[int] = []
            while not pending and (first := self._skipped.get(domain, array("q"))[:IDS_PER_CHECK]):
                is_pending = Delivery.state == DeliveryState.PENDING
                statement = select(Delivery.id).where(is_one_of(Delivery.id, "ids"), is_pending)
                pending = connection.scalars(statement.order_by(Delivery.id), {"ids": list(first)}).all()
                self._replace_first(domain, len(first), pending)

    def _replace_first(self, domain: str, count: int, ids: Iterable[int] = ()) -> None:
        queue = self._skipped.setdefault(domain, array("q"))
        queue[:count] = array("q", ids)
        if not queue:
            del self._skipped[domain]

    def _scan_ahead(
        self, connection: Connection, picked: list[int], counts: Counter[str], limit: int
    ) -> None:
        """Read ahead: add pending letters to `picked`, and skip those whose domain has reached its limit."""
        size = limit
        while len(picked) < limit and not self._is_at_end and self._rows_left > 0:
            rows = self._read_next_rows(connection, size)
            self._rows_left -= len(rows)
            for number, (id, email) in enumerate(rows, 1):
                self._position = id
                domain = get_domain(email)
                if (
                    domain in self._skipped
                    or counts[domain] >= self._domain_limit
                    or not self._has_room(domain)
                ):
                    self._skipped.setdefault(domain, array("q")).append(id)
                    continue
                picked.append(id)
                counts[domain] += 1
                if len(picked) == limit:
                    self._is_at_end = number == len(rows) < size
                    return
            self._is_at_end = len(rows) < size
            size = ROWS_PER_QUERY

    def _read_next_rows(self, connection: Connection, size: int) -> list[tuple[int, str]]:
        # Uses the index of run, state and id, or that of the sample, from this worker's position.
        is_ahead = (Delivery.run_id == self._run_id) & (Delivery.id > self._position)
        is_pending = is_due(utcnow()) if self._at_local_time else self._is_pending
        statement = select(Delivery.id, Delivery.email).where(is_ahead, is_pending)
        rows = connection.execute(statement.order_by(Delivery.id).limit(size))
        return [(row.id, row.email) for row in rows]
