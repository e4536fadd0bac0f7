"""flask sweep: run the sweep immediately; the scheduler runs it every 15 seconds."""

import click
from flask.cli import with_appcontext
from redis import RedisError

from skymailing import jobs
from skymailing.clock import utcnow


@click.command("sweep")
@with_appcontext
def sweep() -> None:
    """Release the letters of dead workers, finish completed runs, and wake workers for due runs."""
    try:
        due = jobs.run_sweep(utcnow())
    except RedisError as error:
        raise click.ClickException(
            f"The database is up to date, but Redis does not respond: {error}"
        ) from error
    click.echo(f"Mailings to start now: {len(due.mailings)}")
    click.echo(f"Runs with letters to send now: {len(due.runs)}")
