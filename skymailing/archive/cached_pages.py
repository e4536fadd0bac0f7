"""Caching rules for the public archives."""

from datetime import datetime

from skymailing.caching.backend import ARCHIVES
from skymailing.caching.page_kinds import PageKind


def find_no_change(_now: datetime) -> None:
    """Return None: published letters change only when someone writes to the database."""


# A minute, in case a change is not detected: a letter must not remain visible after a manager has stopped it.
LIFETIME_SECONDS = 60
CACHED_PAGES = {
    "/archive/<archive_slug>/": PageKind((ARCHIVES,), LIFETIME_SECONDS, find_no_change, arguments=("page",)),
    "/archive/<archive_slug>/feed.xml": PageKind((ARCHIVES,), LIFETIME_SECONDS, find_no_change),
    "/archive/<archive_slug>/<slug>": PageKind((ARCHIVES,), LIFETIME_SECONDS, find_no_change),
}
