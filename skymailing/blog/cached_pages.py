"""How the public pages of the blog are cached."""

from babel.numbers import format_decimal

from skymailing.blog.content_cache import next_publication
from skymailing.blog.viewing import VIEWS_HOLE, count_view
from skymailing.caching.backend import ARTICLES, VIEWS
from skymailing.caching.middleware import PageKind

HOLE = VIEWS_HOLE.encode()


def fill_views(body: bytes, values: list[int], language: str, is_read: bool) -> bytes:
    """Count the view of an article and write the number into its page; `values` are its id and views."""
    article_id, known = values
    pending = count_view(article_id) if is_read else 0
    return body.replace(HOLE, format_decimal(known + pending, locale=language).encode())


CACHED_PAGES = {
    "/blog/": PageKind((ARTICLES,), 600, next_publication, arguments=("page",)),
    "/blog/<slug>": PageKind((ARTICLES, VIEWS), 600, next_publication, fill=fill_views),
    "/blog/feed.atom": PageKind((ARTICLES,), 600, next_publication),
    "/sitemap.xml": PageKind((ARTICLES,), 600, next_publication),
}
