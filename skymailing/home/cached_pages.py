"""How the home page is cached."""

from skymailing.blog.content_cache import next_publication
from skymailing.caching.backend import ARTICLES, CLIENTS, MAILINGS
from skymailing.caching.middleware import PageKind

# The page shows three random articles; which mailings are active depends on the time.
HOME = PageKind((ARTICLES, CLIENTS, MAILINGS), 30, next_publication, variants=8)
CACHED_PAGES = {"/": HOME}
