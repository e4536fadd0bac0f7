"""The WSGI application. A command builds the pages when it needs them, a web server at its start."""

import click

from config import load_config
from skymailing import create_app

app = create_app(load_config(), defer_pages=click.get_current_context(silent=True) is not None)
