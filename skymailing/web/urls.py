"""Build absolute links for letters from PUBLIC_URL, never from a request's Host header."""

from typing import Any

from flask import current_app

UNSUBSCRIBE_PREFIX = "/u"
PREFERENCES_PREFIX = "/p"
EXAMPLE_UNSUBSCRIBE_URL = f"https://example.com{UNSUBSCRIBE_PREFIX}/example"
BROWSER_PREFIX = "/v"
CLICK_PREFIX = "/c"
OPEN_PREFIX = "/o"
EXAMPLE_BROWSER_URL = f"https://example.com{BROWSER_PREFIX}/example"


def public_url(endpoint: str, **values: Any) -> str:
    """Return the absolute URL of a page, as visitors reach it."""
    path = current_app.url_map.bind("", script_name="/").build(endpoint, values)
    return f"{current_app.config['PUBLIC_URL']}{path}"


def unsubscribe_url(token: str) -> str:
    """Return the absolute URL of the unsubscribe page for `token`; an empty token gives the common prefix."""
    return f"{current_app.config['PUBLIC_URL']}{UNSUBSCRIBE_PREFIX}/{token}"


def preferences_url(unsubscribe_url: str) -> str:
    """Return the URL of the preference page, which has the same token as the unsubscribe page."""
    site, _, token = unsubscribe_url.rpartition(f"{UNSUBSCRIBE_PREFIX}/")
    return f"{site}{PREFERENCES_PREFIX}/{token}"


def browser_url(token: str) -> str:
    """Return the absolute URL that opens a letter in a browser; an empty token gives the common prefix."""
    return f"{current_app.config['PUBLIC_URL']}{BROWSER_PREFIX}/{token}"
