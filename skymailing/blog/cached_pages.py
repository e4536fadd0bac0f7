"""Caching rules for the public pages of the blog."""

from functools import cache

from babel import Locale
from flask import Flask

from skymailing.blog.content_cache import find_next_publication
from skymailing.blog.view_counts import VIEWS_PLACEHOLDER, gathered_views
from skymailing.caching.backend import ARCHIVES, ARTICLES, VIEWS
from skymailing.caching.page_kinds import PageKind
from skymailing.web.formats import format_integer

PLACEHOLDER = VIEWS_PLACEHOLDER.encode()
parse_language = cache(Locale.parse)


def fill_views(app: Flask, body: bytes, values: list[int], language: str, is_get: bool) -> bytes:
    """Count a view and insert the total into the page; `values` are the article's ID and stored views."""
    article_id, stored = values
    pending = gathered_views(app).count(article_id, stored) if is_get else 0
    return body.replace(PLACEHOLDER, format_integer(stored + pending, parse_language(language)).encode())


CACHED_PAGES = {
    "/blog/": PageKind((ARTICLES,), 600, find_next_publication, arguments=("page", "language")),
    "/blog/<slug>": PageKind((ARTICLES, VIEWS), 600, find_next_publication, fill=fill_views),
    "/blog/feed.atom": PageKind((ARTICLES,), 600, find_next_publication, arguments=("language",)),
    "/sitemap.xml": PageKind((ARTICLES, ARCHIVES), 600, find_next_publication),
}
