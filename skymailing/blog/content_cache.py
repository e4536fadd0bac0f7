"""Cache the list of published articles and the rendered bodies."""

import hashlib
import random
from datetime import datetime
from typing import NamedTuple

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


class DatedArticle(NamedTuple):
    """An article with a publication date; Redis keeps these as plain tuples."""

    id: int
    published_at: float  # timestamp
    language: str


def list_published(now: datetime) -> list[DatedArticle]:
    """Return the articles published by `now`, newest first."""
    return [article for article in _list_dated_articles() if article.published_at <= now.timestamp()]


def list_published_ids(now: datetime, *, reader_language: str = "", chosen_language: str = "") -> list[int]:
    """Return the IDs of the articles published by `now`: those in the reader's language, then the others.

    Both are newest first. A chosen language leaves out articles in other languages.
    """
    articles = [
        article
        for article in list_published(now)
        if not chosen_language or article.language == chosen_language
    ]
    return [
        article.id for article in sorted(articles, key=lambda article: article.language != reader_language)
    ]


def list_languages(now: datetime) -> set[str]:
    """Return the languages of the published articles."""
    return {article.language for article in list_published(now) if article.language}


def choose_random_ids(count: int, now: datetime, language: str) -> list[int]:
    """Return the IDs of up to `count` random published articles: those in `language` first."""
    articles = list_published(now)
    random.shuffle(articles)
    articles.sort(key=lambda article: article.language != language)
    return [article.id for article in articles[:count]]


def find_next_publication(now: datetime) -> datetime | None:
    """Return the time at which the next scheduled article becomes public."""
    dates = (article.published_at for article in _list_dated_articles())
    moments = [moment for moment in dates if moment > now.timestamp()]
    return datetime.fromtimestamp(min(moments), now.tzinfo) if moments else None


def _list_dated_articles() -> list[DatedArticle]:
    label = shared_cache().label(ARTICLES)
    rows = _read_article_dates.uncached("") if label is None else _read_article_dates(label)
    return [DatedArticle(*row) for row in rows]


@cache.memoize(timeout=DATES_LIFETIME)
def _read_article_dates(_label: str) -> list[tuple[int, float, str]]:
    """Return every dated article, including future ones, newest first.

    The function's name is part of the key: rename it if the columns change, since hosts are upgraded one by
    one.
    """
    columns = select(Article.id, Article.published_at, Article.language)
    statement = columns.where(Article.published_at.is_not(None))
    rows = db.session.execute(statement.order_by(Article.published_at.desc(), Article.id.desc()))
    return [(row.id, row.published_at.timestamp(), row.language) for row in rows]
