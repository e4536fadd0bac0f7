"""Cache the list of published articles and the rendered bodies."""

import hashlib
import random
from datetime import datetime

from sqlalchemy import select

from skymailing.blog.content import render_body
from skymailing.caching.backend import ARTICLES
from skymailing.caching.invalidation import shared_cache
from skymailing.extensions import cache, db
from skymailing.models import Article

DATES_LIFETIME = 10 * 60  # seconds
BODY_LIFETIME = 24 * 60 * 60  # seconds

# The key is a hash of format and text, so a cached body is never stale.
render_body_cached = cache.memoize(timeout=BODY_LIFETIME, hash_method=hashlib.sha256)(render_body)


def list_published_ids(now: datetime) -> list[int]:
    """Return the IDs of the articles published by `now`, newest first."""
    return [id for id, moment in _list_dated_articles() if moment <= now.timestamp()]


def choose_random_ids(count: int, now: datetime) -> list[int]:
    """Return the IDs of up to `count` randomly chosen published articles."""
    ids = list_published_ids(now)
    return random.sample(ids, min(count, len(ids)))


def find_next_publication(now: datetime) -> datetime | None:
    """Return the time at which the next scheduled article becomes public."""
    moments = [moment for _, moment in _list_dated_articles() if moment > now.timestamp()]
    return datetime.fromtimestamp(min(moments), now.tzinfo) if moments else None


def _list_dated_articles() -> list[tuple[int, float]]:
    label = shared_cache().label(ARTICLES)
    if label is None:
        return _read_dated_articles.uncached("")
    return _read_dated_articles(label)


@cache.memoize(timeout=DATES_LIFETIME)
def _read_dated_articles(_label: str) -> list[tuple[int, float]]:
    """Return the ID and publication time of every dated article, including future ones, newest first."""
    statement = select(Article.id, Article.published_at).where(Article.published_at.is_not(None))
    rows = db.session.execute(statement.order_by(Article.published_at.desc(), Article.id.desc()))
    return [(row.id, row.published_at.timestamp()) for row in rows]
