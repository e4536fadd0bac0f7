"""Respond with a page of a list and a link to the next page."""

from typing import Any
from urllib.parse import urlencode

from flask import current_app, request

from skymailing.api.paging import Listing


def page_of(listing: Listing, items: list[Any] | None = None) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Return the page for the list's schema, with a Link header (RFC 8288)."""
    body = {"data": listing.items if items is None else items, "next": listing.next}
    return body, 200, link_header(listing)


def link_header(listing: Listing) -> dict[str, str]:
    if listing.next is None:
        return {}
    pairs = [(name, value) for name, value in request.args.items(multi=True) if name != "after"]
    query = urlencode([*pairs, ("after", listing.next)])
    site = current_app.config["PUBLIC_URL"]
    return {"Link": f'<{site}{request.path}?{query}>; rel="next"'}
