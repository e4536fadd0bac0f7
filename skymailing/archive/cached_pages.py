"""Caching rules for the public archives."""

from datetime import datetime

from skymailing.caching.backend import ARCHIVES
from skymailing.caching.page_kinds import PageKind


def never(_now: datetime) -> None:
    """Published letters do not change by themselves."""


# A minute, in case a change is not detected: a letter must not remain visible after a manager has stopped it.
LIFETIME_SECONDS = 60
CACHED_PAGES = {
    "/archive/<archive_slug>/": PageKind((ARCHIVES,), LIFETIME_SECONDS, never, arguments=("page",)),
    "/archive/<archive_slug>/feed.xml": PageKind((ARCHIVES,), LIFETIME_SECONDS, never),
    "/archive/<archive_slug>/<slug>": PageKind((ARCHIVES,), LIFETIME_SECONDS, never),
}
