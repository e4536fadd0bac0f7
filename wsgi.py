"""The WSGI application. Commands build the pages on demand, a web server builds them at startup."""

import os

import click

from config import load_config
from skymailing import create_app

# Files in DATA_DIR contain addresses and keys, so no other user of this host may read them.
os.umask(0o077)

app = create_app(load_config(), defer_pages=click.get_current_context(silent=True) is not None)
