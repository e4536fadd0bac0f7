"""Keep sessions away from requests of programs, whose cookies are ignored, and from static files."""

from typing import Any

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface

PREFIXES = ("/api/v1/", "/api/openapi.json")


def is_stateless(path: str) -> bool:
    """Return whether only programs request this path."""
    return path.startswith(PREFIXES)


class SessionInterface(SecureCookieSessionInterface):
    """Flask's own sessions, which are empty and read-only for programs."""

    def open_session(self, app: Flask, request: Any) -> Any:
        return (
            self.make_null_session(app) if is_stateless(request.path) else super().open_session(app, request)
        )

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Save the session, except with a static file.

        Flask-Login reads the session in each request, so Flask would answer `Vary: Cookie`, and browsers
        would load a file again after each change of a cookie.
        """
        if request.endpoint != "static":
            super().save_session(app, session, response)


def configure(app: Flask) -> None:
    app.session_interface = SessionInterface()
