"""What is kept of the blog between requests."""

import hashlib
import random
from datetime import datetime

from sqlalchemy import select

from skymailing.blog.content import render_body
from skymailing.caching.backend import ARTICLES
from skymailing.caching.invalidation import shared_cache
from skymailing.extensions import cache, db
from skymailing.models import Article

TIMELINE_LIFETIME = 10 * 60  # seconds
BODY_LIFETIME = 24 * 60 * 60  # seconds

# Kept under a hash of format and text, so a body is never stale: another text is another key.
rendered_body = cache.memoize(timeout=BODY_LIFETIME, hash_method=hashlib.sha256)(render_body)


def published_ids(now: datetime) -> list[int]:
    """Return the articles that the public may read at `now`, the newest first."""
    return [id for id, moment in _dated_articles() if moment <= now.timestamp()]


def random_ids(count: int, now: datetime) -> list[int]:
    """Return up to `count` published articles, others each time."""
    ids = published_ids(now)
    return random.sample(ids, min(count, len(ids)))


def next_publication(now: datetime) -> datetime | None:
    """Return when the next article becomes public by itself."""
    moments = [moment for _, moment in _dated_articles() if moment > now.timestamp()]
    return datetime.fromtimestamp(min(moments), now.tzinfo) if moments else None


def _dated_articles() -> list[tuple[int, float]]:
    label = shared_cache().label(ARTICLES)
    if label is None:
        return _read_dated_articles.uncached("")
    return _read_dated_articles(label)


@cache.memoize(timeout=TIMELINE_LIFETIME)
def _read_dated_articles(_label: str) -> list[tuple[int, float]]:
    """Return id and publication of all articles that have a date, future ones too, the newest first."""
    statement = select(Article.id, Article.published_at).where(Article.published_at.is_not(None))
    rows = db.session.execute(statement.order_by(Article.published_at.desc(), Article.id.desc()))
    return [(row.id, row.published_at.timestamp()) for row in rows]
