"""The WSGI application. Commands build the pages on demand, a web server builds them at startup."""

import click

from config import load_config
from skymailing import create_app
from skymailing.errors import ConfigurationError

try:
    config = load_config()
except ConfigurationError as error:
    raise SystemExit(f"Error: {error}") from None

app = create_app(config, defer_pages=click.get_current_context(silent=True) is not None)
