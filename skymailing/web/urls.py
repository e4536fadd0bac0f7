"""Build absolute links for letters from PUBLIC_URL, never from a request's Host header."""

from typing import Any

from flask import current_app
from werkzeug.routing import Map, Rule

UNSUBSCRIBE_PREFIX = "/u"
PREFERENCES_PREFIX = "/p"
EXAMPLE_UNSUBSCRIBE_URL = f"https://example.com{UNSUBSCRIBE_PREFIX}/example"
BROWSER_PREFIX = "/v"
CLICK_PREFIX = "/c"
OPEN_PREFIX = "/o"
EXAMPLE_BROWSER_URL = f"https://example.com{BROWSER_PREFIX}/example"

# The pages to which letters link. Workers read them here, so that they need not load all pages. Do not change
# a path, since letters that were sent long ago contain it.
_LETTER_PATHS = {
    "auth.confirm_email": "/auth/email/<token>",
    "auth.login": "/auth/login",
    "auth.profile": "/auth/profile",
    "auth.reset": "/auth/reset/<token>",
    "auth.reset_request": "/auth/reset",
    "auth.sessions": "/auth/profile/sessions",
    "auth.verify": "/auth/verify/<token>",
    "brand.logo": "/brand/logos/<name>",
    "home.index": "/",
    "mailings.index": "/mailings/",
    "mailings.show": "/mailings/<int:mailing_id>",
    "messages.confirm_reviewer": "/messages/test-emails/confirm/<token>",
    "messages.starter_picture": "/messages/designs/<name>",
    "senders.confirm": "/senders/confirm/<token>",
    "senders.index": "/senders/",
    "signup.confirm": "/f/<uuid:uuid>/confirm/<token>",
    "webhooks.show": "/webhooks/<int:endpoint_id>",
}
LETTER_PAGES = Map([Rule(path, endpoint=endpoint) for endpoint, path in _LETTER_PATHS.items()])


def public_url(endpoint: str, **values: Any) -> str:
    """Return the absolute URL of a page, as visitors reach it."""
    pages = LETTER_PAGES if endpoint in _LETTER_PATHS else current_app.url_map
    path = pages.bind("", script_name="/").build(endpoint, values)
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
