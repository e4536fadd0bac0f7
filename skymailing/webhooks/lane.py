"""Send calls in threads, so that a slow endpoint keeps neither a worker nor the other endpoints waiting.

These threads use only the network. One thread of the worker (`tasks`) reads and writes the database.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from skymailing.clock import utcnow
from skymailing.delivery.smtp.public_addresses import Network
from skymailing.errors import UserError
from skymailing.webhooks.claims import ClaimedCall, DueEndpoint, Outcome, Turn, TurnResult
from skymailing.webhooks.sending import Call, Caller, CallFailed, Connection
from skymailing.webhooks.signatures import sign
from skymailing.webhooks.urls import split_url

THREADS = 32
TURNS_PER_ENDPOINT = 2
TURNS_PER_OWNER = 6  # so that a few owners with slow endpoints cannot use all threads
CALLS_PER_TURN = 100
MAX_CALLS = THREADS * CALLS_PER_TURN
TURN_SECONDS = 5.0  # after which a turn sends no further call
MAX_IDLE = 100  # connections that are kept for further calls


@dataclass(slots=True)
class IdleConnection:
    """A connection that is kept for further calls, and its URL."""

    url: str
    connection: Connection


class Lane:
    """Sends turns in up to THREADS threads."""

    def __init__(self, allowed: Collection[Network], should_stop: Callable[[], bool] = lambda: False) -> None:
        self._allowed = allowed
        self._should_stop = should_stop
        self._turns: SimpleQueue[tuple[Turn, Connection | None] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[TurnResult, Connection | None]] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._by_endpoint: Counter[int] = Counter()
        self._by_owner: Counter[int] = Counter()
        self._served: dict[int, float] = {}  # when the last turn of an endpoint began
        self._idle: dict[int, list[IdleConnection]] = defaultdict(list)

    @property
    def is_busy(self) -> bool:
        """Whether turns are being sent."""
        return self._by_endpoint.total() > 0

    def choose(self, due: Sequence[DueEndpoint], max_calls: int = MAX_CALLS) -> dict[DueEndpoint, int]:
        """Return the endpoints that get a turn, and how many calls each may send, `max_calls` in total.

        Those that have waited longest come first.
        """
        chosen: dict[DueEndpoint, int] = {}
        by_owner = self._by_owner.copy()
        room = THREADS - self._by_endpoint.total()
        for endpoint in sorted(due, key=lambda endpoint: (self._served.get(endpoint.id, 0.0), endpoint.id)):
            # After a fault, a single call shows whether the endpoint works again.
            max_turns = 1 if endpoint.has_faults else TURNS_PER_ENDPOINT
            has_room = self._by_endpoint[endpoint.id] < max_turns
            if room and max_calls and has_room and by_owner[endpoint.owner_id] < TURNS_PER_OWNER:
                chosen[endpoint] = 1 if endpoint.has_faults else min(CALLS_PER_TURN, max_calls)
                max_calls -= chosen[endpoint]
                by_owner[endpoint.owner_id] += 1
                room -= 1
        return chosen

    def start(self, turn: Turn) -> None:
        """Begin to send a turn."""
        self._by_endpoint[turn.endpoint.id] += 1
        self._by_owner[turn.endpoint.owner_id] += 1
        self._served[turn.endpoint.id] = time.monotonic()
        if len(self._threads) < min(THREADS, self._by_endpoint.total()):
            thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._turns.put((turn, self._take_idle(turn)))

    def collect(self, seconds: float) -> list[TurnResult]:
        """Return the results of turns that have ended; wait for the first one up to `seconds`."""
        results: list[TurnResult] = []
        try:
            self._add_result(results, seconds)
            while True:
                self._add_result(results, 0)
        except Empty:
            return results

    def _add_result(self, results: list[TurnResult], seconds: float) -> None:
        result, connection = self._results.get(block=seconds > 0, timeout=seconds or None)
        endpoint = result.turn.endpoint
        self._by_endpoint[endpoint.id] -= 1
        self._by_owner[endpoint.owner_id] -= 1
        if connection is not None:
            self._keep(result.turn, connection)
        results.append(result)

    def close(self) -> None:
        """End the threads that have no turn, and close the connections that are not in use."""
        for _thread in self._threads:
            self._turns.put(None)
        for kept in self._idle.values():
            for idle in kept:
                idle.connection.close()
        self._idle.clear()

    def _keep(self, turn: Turn, connection: Connection) -> None:
        if sum(map(len, self._idle.values())) < MAX_IDLE:
            self._idle[turn.endpoint.id].append(IdleConnection(turn.url, connection))
        else:
            connection.close()

    def _take_idle(self, turn: Turn) -> Connection | None:
        kept = self._idle.pop(turn.endpoint.id, [])
        found: Connection | None = None
        for idle in kept:
            if idle.url != turn.url or not idle.connection.is_usable():
                idle.connection.close()
            elif found is None:
                found = idle.connection
            else:
                self._idle[turn.endpoint.id].append(idle)
        return found

    def _work(self) -> None:
        while (job := self._turns.get()) is not None:
            turn, connection = job
            self._results.put(send_turn(turn, connection, self._allowed, self._should_stop))


def send_turn(
    turn: Turn,
    connection: Connection | None,
    allowed: Collection[Network],
    should_stop: Callable[[], bool],
) -> tuple[TurnResult, Connection | None]:
    """Send the calls of a turn until one fails or the time is up; return the result and the connection."""
    start = time.monotonic()
    outcomes: list[Outcome] = []
    try:
        caller = Caller(split_url(turn.url), allowed, connection)
    except UserError:  # stored by a version with different rules
        return TurnResult(turn, [Outcome(turn.calls[0], None, "invalid address", utcnow())]), None
    for call in turn.calls:
        if outcomes and (time.monotonic() - start > TURN_SECONDS or should_stop()):
            break
        outcomes.append(send_call(caller, turn.secrets, call))
        if not outcomes[-1].is_delivered:
            break
    return TurnResult(turn, outcomes), caller.give_back()


def send_call(caller: Caller, secrets: Sequence[str], call: ClaimedCall) -> Outcome:
    """Send one call, and return its result."""
    at = utcnow()
    if not secrets:
        return Outcome(call, None, "the secret cannot be read; replace it", at)
    try:
        response = caller.send(Call(sign(secrets, call.message_id, at, call.body), call.body))
    except CallFailed as error:
        return Outcome(call, None, str(error), at)
    return Outcome(call, response.code, response.text, at)
