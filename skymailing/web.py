"""What every response carries and every template may use."""

from flask import Flask


def configure(app: Flask) -> None:
    """Install response headers and template helpers."""
