"""Make slugs, the part of an article's address that is derived from its title."""

import re
import unicodedata

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Article

MAX_LENGTH = 80
ALLOWED = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# The transliteration used in Russian passports since 2014 (ICAO Doc 9303), without hard and soft signs.
RUSSIAN = str.maketrans(
    dict(
        zip(
            "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
            "a b v g d e e zh z i i k l m n o p r s t u f kh ts ch sh shch  y  e iu ia".split(" "),
            strict=True,
        )
    )
)


def make_slug(title: str) -> str:
    """Return the title in Latin letters, digits and hyphens; never empty."""
    latin = unicodedata.normalize("NFKD", title.lower().translate(RUSSIAN))
    words = re.findall(r"[a-z0-9]+", latin.encode("ascii", "ignore").decode())
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word[:MAX_LENGTH]
        if len(longer) > MAX_LENGTH:
            break
        slug = longer
    return slug or "article"


def is_taken(slug: str, article_id: int | None) -> bool:
    """Return whether another article has this slug."""
    other = select(Article.id).where(Article.slug == slug, Article.id != (article_id or 0))
    return db.session.scalar(other) is not None


def find_free_slug(title: str, article_id: int | None) -> str:
    """Return a slug for the title that no other article uses."""
    slug, number = make_slug(title), 1
    candidate = slug
    while is_taken(candidate, article_id):
        number += 1
        candidate = f"{slug}-{number}"
    return candidate
