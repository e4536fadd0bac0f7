"""Gather the views of articles that are read often, so that not each of them needs a request to Redis.

The first view is sent to Redis at once. Those that follow within SEND_SECONDS are sent together.
"""

import atexit
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

SEND_SECONDS = 0.25  # a process that is killed loses the views that it has gathered since


@dataclass(slots=True)
class Tally:
    """The views of an article that the database does not have yet."""

    stored: int  # the database's number when the others were counted
    sent: int  # views in Redis, from all processes
    gathered: int  # views of this process that are not in Redis yet
    sent_at: float


class GatheredViews:
    """The views that a process has counted; `send` adds some to an article's sum in Redis and returns it."""

    def __init__(self, send: Callable[[int, int], int]) -> None:
        self._send = send
        self._tallies: dict[int, Tally] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # held until gathered views have been sent
        self._timer: threading.Timer | None = None
        atexit.register(self.send_all)

    def count(self, article_id: int, stored: int) -> int:
        """Count a view; return the number of views that are not among the database's `stored` ones."""
        with self._lock:
            tally = self._tallies.get(article_id)
            now = time.monotonic()
            if tally is not None and tally.stored == stored and now - tally.sent_at < SEND_SECONDS:
                tally.gathered += 1
                self._start_timer()
                return tally.sent + tally.gathered
            views = 1 + (tally.gathered if tally is not None else 0)
            known = tally.sent if tally is not None and tally.stored == stored else 0
            tally = self._tallies[article_id] = Tally(stored, known + views, 0, now)
        tally.sent = self._send(article_id, views)
        return tally.sent

    def send_all(self) -> None:
        """Send all gathered views, and forget articles that are no longer read."""
        with self._sending:
            with self._lock:
                self._timer = None
                tallies = {id: tally for id, tally in self._tallies.items() if tally.gathered}
                views = {id: tally.gathered for id, tally in tallies.items()}
                for tally in tallies.values():
                    tally.sent, tally.gathered = tally.sent + tally.gathered, 0
                    tally.sent_at = time.monotonic()
                self._tallies = dict(tallies)
            for article_id, tally in tallies.items():
                tally.sent = self._send(article_id, views[article_id])

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(SEND_SECONDS, self.send_all)
            self._timer.daemon = True
            self._timer.start()
