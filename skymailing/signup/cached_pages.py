"""Caching rules for the public page of a form."""

from skymailing.caching.backend import FORMS
from skymailing.caching.page_kinds import PageKind

# Rendered again each minute, as the page contains the time at which it was rendered (`stamps.py`): the oldest
# stamp of a page just opened is a minute old, out of the 24 hours that it is valid.
CACHED_PAGES = {"/f/<uuid>": PageKind((FORMS,), 60, lambda _now: None)}
