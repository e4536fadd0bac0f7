"""Caching rules for the help pages, which change only with the code; searches are not cached."""

from skymailing.caching.page_kinds import PageKind

HELP = PageKind((), 600, lambda _now: None)
CACHED_PAGES = {"/help/": HELP, "/help/<slug>": HELP}
