"""Ignore sessions in API requests, and do not send session cookies with static files."""

from typing import Any

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface

PREFIXES = ("/api/v1/", "/api/openapi.json")


def is_stateless(path: str) -> bool:
    """Return whether the path belongs to the API, which ignores cookies."""
    return path.startswith(PREFIXES)


class SessionInterface(SecureCookieSessionInterface):
    """Flask's own sessions, except that API requests get an empty, read-only session."""

    def open_session(self, app: Flask, request: Any) -> Any:
        return (
            self.make_null_session(app) if is_stateless(request.path) else super().open_session(app, request)
        )

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Save the session, except in responses with static files.

        Flask-Login reads the session in each request, so Flask would add `Vary: Cookie`, and browsers would
        load static files again whenever a cookie changes.
        """
        if request.endpoint != "static":
            super().save_session(app, session, response)


def configure(app: Flask) -> None:
    app.session_interface = SessionInterface()
