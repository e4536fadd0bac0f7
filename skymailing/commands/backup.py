"""flask backup and restore: save all data to one file, and restore it."""

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext
from redis import RedisError

from skymailing import queue, schedule
from skymailing.backups import after_restore, archive, databases
from skymailing.backups.after_restore import PausedMailing
from skymailing.backups.archive import FORMAT, Manifest
from skymailing.clock import utcnow
from skymailing.db import migrations
from skymailing.errors import SkyMailingError
from skymailing.extensions import cache, db
from skymailing.monitoring import checks

TIME_FORMAT = "%Y-%m-%d %H:%M UTC"


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_appcontext
def backup(file: Path) -> None:
    """Save the database and all images to FILE, while the service keeps running.

    SECRET_KEY is not included: keep it together with the backup.
    """
    if file.exists():
        raise click.ClickException(f"{file} already exists; choose another name.")
    check = checks.check_database()
    revision = migrations.read_revision() if check.is_ok else None
    if revision is None:
        raise click.ClickException(f"{check.finding}. {check.advice}")
    manifest = Manifest(FORMAT, utcnow(), databases.get_database_kind(), revision)
    try:
        archive.write(file.absolute(), manifest)
    except (SkyMailingError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{file}: {file.stat().st_size:,} bytes, as of {manifest.made_at:{TIME_FORMAT}}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--nothing-sent-since",
    is_flag=True,
    help="The service was stopped before the backup and has not run since: everything continues.",
)
@with_appcontext
def restore(file: Path, nothing_sent_since: bool) -> None:
    """Restore FILE to an empty database, with the service stopped.

    The backup does not show what was sent after it was made. To avoid sending letters twice, all
    mailings are paused and unfinished letters become unknown, for their owners to decide.
    """
    try:
        require_stopped_service()
        with archive.open_backup(file) as (manifest, tar):
            require_matching_backup(manifest)
            archive.restore_database(tar, current_app.config["DATA_DIR"])
            images = archive.restore_images(tar)
    except (SkyMailingError, OSError) as error:
        raise click.ClickException(str(error)) from error
    migrate()
    paused = account_for_lost_events(manifest, nothing_sent_since)
    cache.clear()  # it contains pages of the previous database
    click.echo(
        f"Restored as of {manifest.made_at:{TIME_FORMAT}}, with {images} images. All users are signed out."
    )
    if not nothing_sent_since:
        print_paused(paused)


def require_stopped_service() -> None:
    """Raise SkyMailingError while workers or a scheduler could send what is being restored."""
    try:
        is_running = queue.count_workers() > 0 or schedule.is_alive()
    except RedisError:
        return  # without Redis, no worker can send
    if is_running:
        raise SkyMailingError(
            "Workers or the scheduler are running, or were until a few seconds ago. Stop the service first."
        )


def require_matching_backup(manifest: Manifest) -> None:
    """Raise SkyMailingError unless the backup can be restored to this installation."""
    if manifest.database != databases.get_database_kind():
        raise SkyMailingError(
            f"This is a backup of {manifest.database}, but DATABASE_URL is a {databases.get_database_kind()} "
            "database."
        )
    revisions, _ = migrations.list_revisions()
    if manifest.revision not in revisions:
        raise SkyMailingError(
            f"This backup is from a newer version (revision {manifest.revision}); "
            "restore it with that version."
        )
    if not databases.is_empty():
        raise SkyMailingError(
            "The database is not empty, and a restore overwrites nothing. Set DATABASE_URL to a new "
            "database, or move the old one away."
        )


def migrate() -> None:
    """Upgrade the tables from the backup's version to this version."""
    import logging

    logging.disable(logging.INFO)
    migrations.upgrade()
    logging.disable(logging.NOTSET)


def account_for_lost_events(manifest: Manifest, nothing_sent_since: bool) -> list[PausedMailing]:
    """Sign everyone out and, unless nothing was sent, pause all mailings; return the paused ones."""
    if nothing_sent_since:
        after_restore.sign_everyone_out()
        db.session.commit()
        return []
    now = utcnow()
    paused = after_restore.pause_mailings(manifest.made_at, now)
    db.session.commit()
    after_restore.finish_open_runs(now)
    return paused


def print_paused(paused: list[PausedMailing]) -> None:
    """Print the mailings that need their owners' decisions."""
    if not paused:
        click.echo("No mailing was running or scheduled.")
        return
    click.echo(
        "These mailings are paused. Their unfinished letters are unknown: "
        "they may have been sent after the backup."
    )
    for mailing in paused:
        click.echo(f"{mailing.id}\t{mailing.unknown:,} unknown\t{mailing.owner}\t{mailing.name}")
    click.echo(
        "They stay paused until their owners decide. docs/operations.md explains how to find out "
        "what was sent."
    )
