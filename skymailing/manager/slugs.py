"""Choose the slugs of articles."""

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Article
from skymailing.web.slugs import find_free, make_slug


def is_taken(slug: str, article_id: int | None) -> bool:
    """Return whether another article has this slug."""
    other = select(Article.id).where(Article.slug == slug, Article.id != (article_id or 0))
    return db.session.scalar(other) is not None


def find_free_slug(title: str, article_id: int | None) -> str:
    """Return a slug for the title that no other article uses."""
    return find_free(make_slug(title, "article"), lambda slug: is_taken(slug, article_id))
