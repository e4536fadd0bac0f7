"""flask sweep: now what the scheduler has done every 15 seconds."""

import click
from flask.cli import with_appcontext
from redis import RedisError

from skymailing import jobs
from skymailing.clock import utcnow


@click.command("sweep")
@with_appcontext
def sweep() -> None:
    """Settle what dead workers held, end what is over, and wake workers for what is due."""
    try:
        found = jobs.run_sweep(utcnow())
    except RedisError as error:
        raise click.ClickException(f"The ledger is settled, but Redis is away: {error}") from error
    click.echo(f"Mailings to start now: {len(found.mailings)}")
    click.echo(f"Runs with letters to send now: {len(found.runs)}")
