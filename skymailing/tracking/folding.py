"""Add the noted hits to the counts, exactly once: one transaction stores a slice and its progress."""

import time
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, delete, select, update

from skymailing.caching.folds import NAME_RETENTION, finish_fold, fold_key, start_folds
from skymailing.caching.invalidation import shared_cache
from skymailing.db.engine import let_others_write, reading_engine
from skymailing.db.text_search import is_sqlite
from skymailing.extensions import db
from skymailing.models import HitFold
from skymailing.tracking.click_counts import count_clicks
from skymailing.tracking.hits import EARLIER_HITS, HITS, TRACKING_IMAGE, NotedHit, count_unreadable, decode
from skymailing.tracking.locking import lock_row, take_turn
from skymailing.tracking.opens import store_opens
from skymailing.tracking.storing import store_clicks

SLICE = 10_000  # hits per transaction


def fold_hits(now: datetime) -> None:
    """Add all noted hits to the counts."""
    for key in (EARLIER_HITS, HITS):
        for name in start_folds(key):
            while _fold_slice(key, name, now):
                pass


def _fold_slice(key: str, name: str, now: datetime) -> bool:
    """Count a slice of a fold; return whether there may be more."""
    started = time.monotonic()
    with reading_engine().connect() as connection:
        done = connection.scalar(select(HitFold.done).where(HitFold.name == name)) or 0
    raw = _read(key, name, done)
    if raw is None:  # Redis is unavailable; a later sweep continues
        return False
    if not raw:
        finish_fold(key, name)
        return False
    hits = [hit for hit in map(decode, raw) if hit is not None]
    with db.engine.begin() as connection:
        # Another process may have counted the same slice since it was read.
        if _lock(connection, name, now) == done:
            _count(connection, hits, now)
            progress = update(HitFold).where(HitFold.name == name).values(done=done + len(raw))
            connection.execute(progress)
    if len(hits) < len(raw):
        count_unreadable(len(raw) - len(hits))
    if is_sqlite():
        let_others_write(time.monotonic() - started)
    return True


def _count(connection: Connection, hits: list[NotedHit], now: datetime) -> None:
    clicks = [hit for hit in hits if hit.number != TRACKING_IMAGE]
    store_clicks(connection, count_clicks(connection, clicks), now)
    store_opens(connection, [hit for hit in hits if hit.number == TRACKING_IMAGE])


def _lock(connection: Connection, name: str, now: datetime) -> int:
    """Wait for other folds, and return how many hits of this one have been counted."""
    take_turn(connection, now)
    lock_row(connection, name, now)
    connection.execute(delete(HitFold).where(HitFold.folded_at < now - NAME_RETENTION))
    return connection.execute(select(HitFold.done).where(HitFold.name == name)).scalar_one()


def _read(key: str, name: str, start: int) -> list[bytes] | None:
    fold = fold_key(key, name)
    return shared_cache().run(
        lambda redis: cast("list[bytes]", redis.lrange(fold, start, start + SLICE - 1)), is_urgent=True
    )
