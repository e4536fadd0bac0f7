"""flask catcher: the mail catcher. It needs neither Redis nor the engine, whose imports take a while."""

import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from skymailing.logs import output
from skymailing.mail_catcher.server import serve


@click.command("catcher")
@with_appcontext
def catcher() -> None:
    """Run the mail catcher, which keeps letters instead of sending them, for development."""
    config = current_app.config
    if not config["MAIL_CATCHER"]:
        sys.exit("MAIL_SERVER is set, so letters go there. The mail catcher runs only without MAIL_SERVER.")
    output.install(config)
    try:
        serve(config["MAIL_PORT"], config["DATA_DIR"] / "outbox")
    except OSError as error:
        sys.exit(f"The mail catcher cannot listen on port {config['MAIL_PORT']}: {error.strerror}.")
