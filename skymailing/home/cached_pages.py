"""Caching rules for the home page and the page about privacy."""

from skymailing.blog.content_cache import find_next_publication
from skymailing.caching.backend import ARTICLES, CLIENTS, MAILINGS
from skymailing.caching.page_kinds import PageKind

# The page has several variants, because it shows three random articles. It is cached for only 30 seconds,
# because the number of active mailings depends on the time.
HOME = PageKind((ARTICLES, CLIENTS, MAILINGS), 30, find_next_publication, variants=8)
# The page depends only on the settings: after a restart, it shows new ones within ten minutes.
PRIVACY = PageKind((), 600, lambda _now: None)
CACHED_PAGES = {"/": HOME, "/privacy": PRIVACY}
