"""Treat requests of programs differently from those of browsers: without sessions, and ignoring cookies."""

from typing import Any

from flask import Flask
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


def configure(app: Flask) -> None:
    app.session_interface = SessionInterface()
