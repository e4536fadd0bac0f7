"""Which letters have their turn where recipient domains have a limit: one that waits holds up no other.

A worker goes through a run's pending letters by their ids, once, and keeps the ids of those that it has to
pass by, as their domain had its share of the second. So each letter is looked at once, wherever it stands,
and those of a domain are at hand when its next second comes. What is kept is only a hint: the rows say
what is still pending, and what comes back behind the worker's place is found when it begins anew.
"""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, select

from skymailing.db.engine import is_one_of
from skymailing.delivery.routing.rate_limits import Rates, domain_of, wait_for_next_second
from skymailing.models import Delivery, DeliveryState

LOOK_AHEAD = 5_000  # rows in one statement
MOST_LOOKED_AT = 20_000  # rows in one claim, so that the worker hears of a pause meanwhile
CHECKED_AT_ONCE = 1_000
LOOK_AGAIN_SECONDS = 60.0  # after which what others left behind is looked for, while only few may leave


class Backlog:
    """One worker's way through one run, for which the `rates` limit what a domain gets in a second."""

    def __init__(self, run_id: int, rates: Rates, monotonic: Callable[[], float] = time.monotonic) -> None:
        assert rates.per_domain
        self._run_id = run_id
        self._share = rates.per_domain
        self._has_room = rates.has_room
        self._monotonic = monotonic
        self._start_over()

    def _start_over(self) -> None:
        # The ids of the letters that were passed by, by domain; eight bytes for each.
        self._passed: dict[str, array[int]] = {}
        self._position = 0
        self._is_at_end = False
        self._begun_at = self._monotonic()

    def may_go_on(self) -> bool:
        """Whether there may be letters to claim although a claim found none; sleeps until they may leave."""
        if self._is_at_end and self._passed:
            wait_for_next_second()
        return not self._is_at_end or bool(self._passed)

    def begin_claim(self) -> None:
        """Begin anew where all has been offered, and now and then while only limited domains wait."""
        is_late = self._monotonic() - self._begun_at > LOOK_AGAIN_SECONDS
        if self._is_at_end and (is_late or not self._passed):
            self._start_over()
        self._may_look_at = MOST_LOOKED_AT

    def offer(self, connection: Connection, limit: int) -> list[int]:
        """Return up to `limit` letters, by id, that were pending, no more of a domain than its share."""
        offered: list[int] = []
        counts: Counter[str] = Counter()
        for domain in [name for name in self._passed if self._has_room(name)]:
            ids = self._passed[domain]
            count = min(len(ids), self._share, limit - len(offered))
            offered += ids[:count]
            counts[domain] = count
            self._replace_first(domain, count)
        self._look_ahead(connection, offered, counts, limit)
        return offered

    def put_back(self, letters: Iterable[tuple[int, str]]) -> None:
        """Keep letters, by id and address, that were offered and are pending all the same."""
        returned: dict[str, list[int]] = {}
        for id, email in letters:
            returned.setdefault(domain_of(email), []).append(id)
        for domain, ids in returned.items():
            self._replace_first(domain, 0, ids)

    def forget_taken(self, connection: Connection) -> None:
        """Forget letters that other workers have taken, of those that are next in each domain."""
        for domain in list(self._passed):
            pending: Sequence[int] = []
            while not pending and (first := self._passed.get(domain, array("q"))[:CHECKED_AT_ONCE]):
                is_pending = Delivery.state == DeliveryState.PENDING
                statement = select(Delivery.id).where(is_one_of(Delivery.id, "ids"), is_pending)
                pending = connection.scalars(statement.order_by(Delivery.id), {"ids": list(first)}).all()
                self._replace_first(domain, len(first), pending)

    def _replace_first(self, domain: str, count: int, ids: Iterable[int] = ()) -> None:
        kept = self._passed.setdefault(domain, array("q"))
        kept[:count] = array("q", ids)
        if not kept:
            del self._passed[domain]

    def _look_ahead(
        self, connection: Connection, offered: list[int], counts: Counter[str], limit: int
    ) -> None:
        """Offer letters that stand further on, passing by those whose domains have had their share."""
        size = limit
        while len(offered) < limit and not self._is_at_end and self._may_look_at > 0:
            rows = self._next_rows(connection, size)
            self._may_look_at -= len(rows)
            for number, (id, email) in enumerate(rows, 1):
                self._position = id
                domain = domain_of(email)
                if domain in self._passed or counts[domain] >= self._share or not self._has_room(domain):
                    self._passed.setdefault(domain, array("q")).append(id)
                    continue
                offered.append(id)
                counts[domain] += 1
                if len(offered) == limit:
                    self._is_at_end = number == len(rows) < size
                    return
            self._is_at_end = len(rows) < size
            size = LOOK_AHEAD

    def _next_rows(self, connection: Connection, size: int) -> list[tuple[int, str]]:
        # Along the index of run, state and id, from where this worker stands.
        is_pending = (Delivery.run_id == self._run_id) & (Delivery.state == DeliveryState.PENDING)
        statement = select(Delivery.id, Delivery.email).where(is_pending, Delivery.id > self._position)
        rows = connection.execute(statement.order_by(Delivery.id).limit(size))
        return [(row.id, row.email) for row in rows]
