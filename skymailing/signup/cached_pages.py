"""Caching rules for the public page of a form."""

from skymailing.caching.backend import FORMS
from skymailing.caching.page_kinds import PageKind

# The page contains the time at which it was rendered (`stamps.py`), and is rendered again each minute. So
# when a visitor opens it, its stamp is at most a minute old, and remains valid for almost 24 hours.
CACHED_PAGES = {"/f/<uuid>": PageKind((FORMS,), 60, lambda _now: None)}
