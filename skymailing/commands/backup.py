"""A backup of everything in one file, and back."""

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext
from redis import RedisError

from skymailing import queue, schedule
from skymailing.backups import after_restore, archive, databases
from skymailing.backups.after_restore import Waiting
from skymailing.backups.archive import FORMAT, Manifest
from skymailing.clock import utcnow
from skymailing.errors import SkyMailingError
from skymailing.extensions import cache, db
from skymailing.monitoring import checks

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
WORDS = "%Y-%m-%d %H:%M UTC"


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_appcontext
def backup(file: Path) -> None:
    """Keep the database and the blog's pictures in FILE, while the service goes on working.

    SECRET_KEY is not in it: keep that beside it.
    """
    if file.exists():
        raise click.ClickException(f"{file} is there already; choose another name.")
    found = checks.check_database()
    revision = checks.current_revision() if found.is_ok else None
    if revision is None:
        raise click.ClickException(f"{found.finding}. {found.advice}")
    manifest = Manifest(FORMAT, utcnow(), databases.kind(), revision)
    try:
        archive.write(file.absolute(), manifest)
    except (SkyMailingError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{file}: {file.stat().st_size:,} bytes, as of {manifest.made_at:{WORDS}}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--nothing-sent-since",
    is_flag=True,
    help="The service was stopped before the backup and has not run since: everything goes on by itself.",
)
@with_appcontext
def restore(file: Path, nothing_sent_since: bool) -> None:
    """Bring FILE back into an empty database, with the service stopped.

    What left after the backup was made is not in it. So that nobody gets a letter twice, all mailings
    are paused and letters that were open are unclear, for their owners to decide.
    """
    try:
        refuse_a_running_service()
        with archive.opened(file) as (manifest, tar):
            refuse_what_does_not_fit(manifest)
            archive.bring_back_database(tar, current_app.config["DATA_DIR"])
            pictures = archive.bring_back_pictures(tar)
    except (SkyMailingError, OSError) as error:
        raise click.ClickException(str(error)) from error
    migrate()
    now = utcnow()
    if nothing_sent_since:
        after_restore.sign_everybody_out()
        db.session.commit()
        waiting = []
    else:
        waiting = after_restore.settle(manifest.made_at, now)
    cache.clear()  # pages of what is lost
    click.echo(
        f"Restored as of {manifest.made_at:{WORDS}}, with {pictures} pictures. Everybody is signed out."
    )
    if not nothing_sent_since:
        tell(waiting)


def refuse_a_running_service() -> None:
    """Raise SkyMailingError while somebody could begin to send what is just coming back."""
    try:
        is_running = queue.count_workers() > 0 or schedule.is_alive()
    except RedisError:
        return  # without Redis no worker does anything
    if is_running:
        raise SkyMailingError(
            "Workers or the scheduler are running, or were until a few seconds ago. Stop the service first."
        )


def refuse_what_does_not_fit(manifest: Manifest) -> None:
    """Raise SkyMailingError unless the backup can be brought back here."""
    if manifest.database != databases.kind():
        raise SkyMailingError(
            f"This backup is of {manifest.database}, and DATABASE_URL names {databases.kind()}."
        )
    known, _ = checks.known_revisions(MIGRATIONS)
    if manifest.revision not in known:
        raise SkyMailingError(
            f"This backup is of a newer version (revision {manifest.revision}); restore it with that one."
        )
    if not databases.is_empty():
        raise SkyMailingError(
            "The database is not empty, and a restore overwrites nothing. Let DATABASE_URL name a new one, "
            "or move the old one away."
        )


def migrate() -> None:
    """Bring the tables from the backup's version to ours."""
    import logging

    from flask_migrate import upgrade

    logging.disable(logging.INFO)
    upgrade(str(MIGRATIONS))
    logging.disable(logging.NOTSET)


def tell(waiting: list[Waiting]) -> None:
    """Say what was left for people to decide."""
    if not waiting:
        click.echo("No mailing was under way or scheduled.")
        return
    click.echo(
        "These mailings are paused, and what was open of them is unclear: it may have been sent since."
    )
    for mailing in waiting:
        click.echo(f"{mailing.id}\t{mailing.unclear:,} unclear\t{mailing.owner}\t{mailing.name}")
    click.echo(
        "Nothing more of them leaves until their owners decide. docs/operations.md tells how to find out."
    )
