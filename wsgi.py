"""The WSGI application. Commands build the pages on demand, a web server builds them at startup."""

import click

from config import load_config
from skymailing import create_app

app = create_app(load_config(), defer_pages=click.get_current_context(silent=True) is not None)
