"""Read a page of the client list: the clients who pass the filter, in the chosen order, and their number."""

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from skymailing.clients.filters import ClientFilter, find_clients
from skymailing.clients.queries import DEFAULT_ORDER, ORDERS
from skymailing.clients.sorting import TooManyToSort, find_sorted
from skymailing.db.pagination import BoundedCount, Page, paginate
from skymailing.db.time_limit import MAX_SECONDS, TookTooLong, limit_time
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.errors import UserError
from skymailing.models import User


@dataclass(slots=True)
class Listing:
    """A page of the list, and the order that it has.

    `unsorted` says why this is not the wanted order, and `problem` why no clients could be found.
    """

    sort: str
    page: Page = field(default_factory=lambda: Page([]))
    count: BoundedCount = field(default_factory=lambda: BoundedCount(0, is_exact=True))
    unsorted: UserError | None = None
    problem: UserError | None = None


def read_listing(
    owner: User, chosen: ClientFilter, sort: str, cursor: str | None, number: int, now: datetime
) -> Listing:
    """Return the page after the cursor, or the page with this number."""
    listing = Listing(sort)
    try:
        _fill(listing, owner, chosen, cursor, number, now)
    except (InvalidConditions, TookTooLong) as error:
        if not listing.page.items:
            listing.problem = error
    return listing


def _fill(
    listing: Listing, owner: User, chosen: ClientFilter, cursor: str | None, number: int, now: datetime
) -> None:
    ends_at = time.monotonic() + MAX_SECONDS
    with limit_time() if chosen else nullcontext():
        found = find_clients(owner, chosen, now)
    if listing.sort not in ORDERS:
        try:
            listing.page = find_sorted(found, owner, listing.sort, cursor, number)
        except (TooManyToSort, TookTooLong) as error:
            listing.sort, listing.unsorted = DEFAULT_ORDER, error
    with limit_time(ends_at - time.monotonic()) if chosen else nullcontext():
        if listing.sort in ORDERS:
            listing.page = paginate(found.statement, ORDERS[listing.sort], cursor, number=number)
        listing.count = BoundedCount(len(listing.page), is_exact=False)  # used if counting takes too long
        listing.count = found.count(listing.page)
