"""Read published articles, and unpublished ones for their authors."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import defer, joinedload

from skymailing.blog.content_cache import choose_random_ids, list_published_ids
from skymailing.extensions import db
from skymailing.models import Article

PER_PAGE = 12
MAX_DRAFTS = 50


def select_articles() -> Select[tuple[Article]]:
    """Return a statement for all articles with their authors."""
    return select(Article).options(joinedload(Article.author))


def select_published(now: datetime) -> Select[tuple[Article]]:
    """Return a statement for published articles with their authors."""
    return select_articles().where(Article.published_at <= now)


def list_published(
    now: datetime, page: int, *, reader_language: str = "", chosen_language: str = ""
) -> tuple[Sequence[Article], int]:
    """Return one page of published articles, and the number of pages; as in `list_published_ids`."""
    ids = list_published_ids(now, reader_language=reader_language, chosen_language=chosen_language)
    pages = max(1, -(-len(ids) // PER_PAGE))
    return _load_by_ids(ids[(page - 1) * PER_PAGE : page * PER_PAGE], now), pages


def list_unpublished(now: datetime) -> Sequence[Article]:
    """Return drafts and scheduled articles, the most recently changed first."""
    hidden = or_(Article.published_at.is_(None), Article.published_at > now)
    statement = select_articles().where(hidden).order_by(Article.updated_at.desc(), Article.id.desc())
    return db.session.scalars(statement.options(defer(Article.body)).limit(MAX_DRAFTS)).all()


def find_article(slug: str) -> Article | None:
    """Return the article with this slug, published or not."""
    if "\0" in slug:  # PostgreSQL does not accept NUL
        return None
    return db.session.scalar(select_articles().where(Article.slug == slug))


def find_random_articles(count: int, now: datetime, language: str) -> Sequence[Article]:
    """Return randomly chosen published articles, newest first; those in the language are preferred."""
    chosen = _select_by_ids(choose_random_ids(count, now, language), now)
    return db.session.scalars(chosen.order_by(Article.published_at.desc(), Article.id.desc())).all()


def _load_by_ids(ids: list[int], now: datetime) -> Sequence[Article]:
    by_id = {article.id: article for article in db.session.scalars(_select_by_ids(ids, now))}
    return [by_id[id] for id in ids if id in by_id]


def _select_by_ids(ids: list[int], now: datetime) -> Select[tuple[Article]]:
    return select_published(now).options(defer(Article.body)).where(Article.id.in_(ids))


def list_newest(now: datetime, count: int, language: str = "") -> Sequence[Article]:
    """Return the newest published articles with their bodies, in one language if it is given."""
    order = (Article.published_at.desc(), Article.id.desc())
    statement = select_published(now)
    if language:
        statement = statement.where(Article.language == language)
    return db.session.scalars(statement.order_by(*order).limit(count)).all()


def list_slugs(now: datetime, count: int) -> Sequence[tuple[str, datetime]]:
    """Return the slug and last modification time of published articles, newest first."""
    statement = select(Article.slug, Article.updated_at).where(Article.published_at <= now)
    return db.session.execute(statement.order_by(Article.published_at.desc()).limit(count)).tuples().all()
