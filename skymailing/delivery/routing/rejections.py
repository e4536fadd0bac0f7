"""Detect consecutive refusals for the same reason, which mean that the message or our access is at fault.

Refusals count both at RCPT and after the dot, except those caused by the address. All workers count
together in Redis, so that they stop after the same number; without Redis, each counts alone.
"""

import hashlib
import logging
import re
import time
from collections import OrderedDict
from typing import Any

from flask import current_app
from redis import RedisError

from skymailing import queue
from skymailing.delivery.retry import UNCOUNTED
from skymailing.delivery.smtp.session import Result
from skymailing.delivery.smtp.verdicts import Stage, Verdict

logger = logging.getLogger(__name__)

# Servers put queue IDs, times and addresses into otherwise identical replies.
VARYING = re.compile(r"[\d@]")
# RFC 3463: a status, and those about a mailbox, an address or its host.
STATUS = re.compile(r"5\.\d{1,3}\.\d{1,3}\b")
ABOUT_ADDRESS = re.compile(r"5\.(1\.|2\.|4\.|6\.7\b)")
# Without a status, the text decides.
WORDS_ABOUT_US = re.compile(r"sender|relay|authent|helo|client|blocked|blacklist|spam", re.IGNORECASE)
WORDS_ABOUT_ADDRESS = re.compile(
    r"user|mailbox|recipient|account|address|alias|unknown|no such|unrouteable|quota", re.IGNORECASE
)
# Seconds until the shared count expires without another refusal; fewer once it is full, since the other
# workers have seen it by then, and the owner may resume the mailing.
EXPIRY, EXPIRY_WHEN_FULL = 600, 10
RUNS_REMEMBERED = 64
REDIS_PAUSE = 10.0  # seconds for which a worker counts alone after Redis was unavailable


class Rejections:
    """Count identical refusals in a row, and letters that could not be rendered, per run."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # For runs whose last letter was refused: the reply, how many times in a row it was received, and
        # since when.
        self._streaks: OrderedDict[int, tuple[str, int, float]] = OrderedDict()
        self._alone_until = 0.0  # by the monotonic clock
        # Runs whose last letter was not refused for such a reason.
        self._proven: OrderedDict[int, None] = OrderedDict()

    def record(self, run_id: int, result: Result) -> int:
        """Count a result; return how many times in a row its reason has occurred (0 for other results).

        From `limit` on, the mailing should pause. Letters beyond that were in progress and need not fail.
        """
        if result.verdict is not Verdict.FAILED or is_about_address(result):
            if result.stage is Stage.DOT:
                self._end_streak(run_id, time.monotonic() - result.seconds)
            if result.verdict not in UNCOUNTED and run_id not in self._streaks:
                self._remember_proven(run_id)
            return 0
        self._proven.pop(run_id, None)
        constant = [word for word in result.answer.split() if not VARYING.search(word)]
        reply = f"{result.code} {' '.join(constant)}"
        previous, count, since = self._streaks.get(run_id, (reply, 0, time.monotonic()))
        if previous != reply:
            self._forget(run_id)
            count, since = 0, time.monotonic()
        count = max(count + 1, self._count_together(run_id, reply))
        if count >= self.limit:
            self._streaks.pop(run_id, None)
        else:
            self._streaks[run_id] = reply, count, since
            _keep_latest(self._streaks)
        return count

    def count_allowed(self, run_id: int) -> int | None:
        """Return how many letters may be started until some are known to be accepted; None: any number."""
        if run_id in self._proven:
            return None
        _, count, _ = self._streaks.get(run_id, ("", 0, 0.0))
        workers: int = max(1, current_app.config["WORKERS"])
        return max(1, (self.limit - count) // workers)

    def _end_streak(self, run_id: int, started_at: float) -> None:
        """Forget the refusals, unless the accepted letter was already in progress when they began."""
        if run_id in self._streaks and started_at >= self._streaks[run_id][2]:
            self._forget(run_id)

    def _remember_proven(self, run_id: int) -> None:
        self._proven[run_id] = None
        _keep_latest(self._proven)

    def _forget(self, run_id: int) -> None:
        self._streaks.pop(run_id, None)
        if time.monotonic() >= self._alone_until:
            try:
                queue.connection().delete(_make_key(run_id))
            except RedisError as error:
                self._count_alone(error)

    def _count_together(self, run_id: int, reply: str) -> int:
        if time.monotonic() < self._alone_until:
            return 0
        field = hashlib.sha256(reply.encode()).hexdigest()[:16]
        try:
            redis = queue.connection()
            count = int(redis.hincrby(_make_key(run_id), field, 1))
            if count <= self.limit:
                redis.expire(_make_key(run_id), EXPIRY if count < self.limit else EXPIRY_WHEN_FULL)
        except RedisError as error:
            self._count_alone(error)
            return 0
        return count

    def _count_alone(self, error: RedisError) -> None:
        logger.info("Redis is unavailable; each worker counts its own refusals: %s", error)
        self._alone_until = time.monotonic() + REDIS_PAUSE


def is_about_address(result: Result) -> bool:
    """Return whether the recipient was refused because of the address, not because of us or the message."""
    if result.stage is Stage.MAIL:
        return True  # a refused sender has its own verdict; otherwise, MAIL fails only because of SMTPUTF8
    if result.stage not in (Stage.RCPT, Stage.DATA):
        return False
    if STATUS.match(result.answer):
        return ABOUT_ADDRESS.match(result.answer) is not None
    if WORDS_ABOUT_US.search(result.answer):
        return False
    return WORDS_ABOUT_ADDRESS.search(result.answer) is not None


def _keep_latest(remembered: OrderedDict[int, Any]) -> None:
    while len(remembered) > RUNS_REMEMBERED:
        remembered.popitem(last=False)


def _make_key(run_id: int) -> str:
    return f"skymailing:rejections:{run_id}"
