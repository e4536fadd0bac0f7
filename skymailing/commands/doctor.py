"""Find out what is wrong with an installation, and say what to do."""

import smtplib
import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from skymailing import checks, transport
from skymailing.checks import Check
from skymailing.errors import SkyMailingError

MAIL_ADVICE = "Check MAIL_SERVER, MAIL_PORT, MAIL_USE_TLS or MAIL_USE_SSL, MAIL_USERNAME and MAIL_PASSWORD."


@click.command("doctor")
@with_appcontext
def doctor() -> None:
    """Check every part that the service needs; ends with 1 when something is wrong."""
    found = [
        describe_configuration(),
        checks.check_data_directory(),
        checks.check_database(),
        checks.check_redis(),
        checks.check_scheduler(),
        checks.check_workers(),
        check_mail_server(),
    ]
    for check in found:
        click.echo(f"{'ok' if check.is_ok else 'PROBLEM':8} {check.name}: {check.finding}")
        if not check.is_ok:
            click.echo(f"{'':8} -> {check.advice}")
    if not all(check.is_ok for check in found):
        sys.exit(1)


def describe_configuration() -> Check:
    """Say what is set; a setting that cannot be used has already ended the command."""
    config = current_app.config
    parts = [config["ENVIRONMENT"], config["PUBLIC_URL"], f"{config['WORKERS']} workers"]
    if not config["WORKERS"]:
        return Check("configuration", False, ", ".join(parts), "Set WORKERS to 1 or more to send letters.")
    return Check("configuration", True, ", ".join(parts))


def check_mail_server() -> Check:
    """Connect, greet and log in as the service would."""
    config = current_app.config
    server = f"{config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    try:
        session = transport.open_smtp(config["MAIL_TIMEOUT"])
        session.quit()
    except (OSError, smtplib.SMTPException, SkyMailingError) as error:
        if config["MAIL_CATCHER"]:
            return Check("mail server", False, f"{server}: {error}", checks.START_ADVICE)
        return Check("mail server", False, f"{server}: {error}", MAIL_ADVICE)
    kind = " (the mail catcher)" if config["MAIL_CATCHER"] else ""
    return Check("mail server", True, f"{server} accepts us{kind}")
