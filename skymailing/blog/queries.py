"""Published articles: those whose publication date is past."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from skymailing.extensions import db
from skymailing.models import Article
from skymailing.pagination import Page, paginate

PER_PAGE = 12


def select_published(now: datetime) -> Select[tuple[Article]]:
    """Return the statement for articles that the public may read."""
    return select(Article).where(Article.published_at <= now).options(joinedload(Article.author))


def list_published(now: datetime, cursor: str | None) -> Page:
    """Return one page of published articles, the newest first."""
    order = [(Article.published_at, True), (Article.id, True)]
    return paginate(select_published(now), order, cursor, PER_PAGE)


def find_published(slug: str, now: datetime) -> Article | None:
    """Return the published article with this slug."""
    return db.session.scalar(select_published(now).where(Article.slug == slug))


def find_random_articles(count: int, now: datetime) -> Sequence[Article]:
    """Return up to `count` published articles, others each time."""
    return db.session.scalars(select_published(now).order_by(func.random()).limit(count)).all()
