"""The WSGI application. Commands build the pages on demand; a web server builds them at startup."""

import gc
import os

import click

gc.disable()  # imports leave no garbage, but the search for it takes a fifth of a short command's time

# ruff: noqa: E402 - the imports are what takes the time
from config import load_config
from skymailing import create_app
from skymailing.errors import ConfigurationError

# Files in DATA_DIR contain addresses and keys, so no other user of this host may read them.
os.umask(0o077)
try:
    config = load_config()
except ConfigurationError as error:
    raise SystemExit(f"Error: {error}") from None

app = create_app(config, defer_pages=click.get_current_context(silent=True) is not None)
gc.freeze()
gc.enable()
