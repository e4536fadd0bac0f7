"""flask up, web, worker and scheduler: run the service's processes, together or one at a time."""

import logging
import math
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import click
from flask import current_app
from flask.cli import with_appcontext
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from skymailing import queue, schedule
from skymailing.clock import utcnow
from skymailing.delivery.recovery import sweep
from skymailing.delivery.routing import reopening
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.logs import output
from skymailing.monitoring import checks
from skymailing.processes import forked, instance_lock, programs
from skymailing.processes.embedded_redis import remove_socket_directory
from skymailing.settings.engine import engine_settings
from skymailing.worker import serve

logger = logging.getLogger(__name__)

WEBHOOK_SECONDS = 3.0  # for the calls that a stopping worker is sending; calls that take longer are repeated
PROJECT_DIR = Path(__file__).resolve().parents[2]


@click.command("up")
@click.option("--migrate", is_flag=True, help="Upgrade the database's tables first.")
@with_appcontext
def up(migrate: bool) -> None:
    """Run everything: web, workers, scheduler, and the bundled servers. Press Ctrl-C to stop it."""
    config = current_app.config
    run_directory = config["DATA_DIR"] / "run"
    use_utc()
    try:
        with instance_lock.hold_lock(run_directory, config["PUBLIC_URL"]) as was_unclean:
            if was_unclean:
                instance_lock.wait_for_old_processes(
                    _list_ports(), queue.connection() if config["EMBEDDED_REDIS"] else None
                )
            _check_ports()
            _prepare_database(migrate)
            _prepare_forks()
            _supervise(run_directory)
    except SkyMailingError as error:
        fail(str(error))
    say("Stopped.")


@click.command("web")
@with_appcontext
def web() -> None:
    """Run only the web server, on HOST and PORT; gunicorn replaces this process."""
    use_utc()
    command = programs.build_web_command(current_app.config)
    db.engine.dispose()
    os.execv(command[0], command)  # noqa: S606 - our own interpreter


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Run one worker; after SIGTERM it finishes the window of letters that it has started."""
    _prepare_process("worker")
    recover_journals()
    reopen_changed_routes()
    # Only this command needs them; imported before the first job.
    from skymailing import jobs
    from skymailing.webhooks import tasks

    forked.freeze_loaded()
    serve((math.ceil(engine_settings().session_idle_seconds), jobs.give_back_sessions))
    tasks.SERVING.wait(WEBHOOK_SECONDS)


@click.command("scheduler")
@with_appcontext
def scheduler() -> None:
    """Run the scheduler, which starts mailings and sweeps on time."""
    _prepare_process("scheduler")
    schedule.make_scheduler().run()


def recover_journals() -> None:
    """Record the results that killed workers on this host left in their journals.

    A sweep by another host's worker cannot read them: it would mark those letters as unknown when their
    leases expire.
    """
    try:
        sweep.recover_dead_journals(current_app.config["DATA_DIR"] / "journal", utcnow())
    except SQLAlchemyError as error:
        logger.warning("the journals will be read by the next sweep: %s", error)


def reopen_changed_routes() -> None:
    """Clear the state of routes whose settings have changed, such as a refused password."""
    try:
        if reopening.reopen_changed():
            queue.enqueue("sweep")  # finds the letters that were waiting
    except SQLAlchemyError as error:
        logger.warning("could not check whether the settings of mail servers have changed: %s", error)


def use_utc() -> None:
    """Set the time zone of this process and its children to UTC, as rq-scheduler expects."""
    os.environ["TZ"] = "UTC"
    time.tzset()


def say(text: str) -> None:
    """Print a line; if that fails, for example because of a full disk, continue without console output."""
    try:
        click.echo(text)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(text: str) -> NoReturn:
    """Print the reason and exit with 1."""
    click.echo(text, err=True)
    sys.exit(1)


def _prepare_process(name: str) -> None:
    use_utc()
    output.install(current_app.config)
    try:
        queue.wait_for_redis()
    except RedisError as error:
        fail(f"The {name} needs Redis, which does not respond: {error}")


def _list_ports() -> list[tuple[str, int]]:
    config = current_app.config
    ports = [(config["HOST"], config["PORT"])]
    if config["MAIL_CATCHER"]:
        ports.append((config["MAIL_SERVER"], config["MAIL_PORT"]))
    return ports


def _check_ports() -> None:
    for (host, port), variable in zip(_list_ports(), ("PORT", "MAIL_PORT"), strict=False):
        instance_lock.check_port(host, port, variable)


def _prepare_database(migrate: bool) -> None:
    logging.disable(logging.INFO)  # hide Alembic's messages from the console
    if migrate and not forked.call(_migrate):
        fail("The database's tables could not be upgraded.")
    database = checks.check_database()
    logging.disable(logging.NOTSET)
    if not database.is_ok:
        fail(f"The database is not ready: {database.finding}. {database.advice}")


def _migrate() -> None:
    from skymailing.db import migrations

    migrations.upgrade()


def _prepare_forks() -> None:
    """Load modules that the programs can share, and close connections that they must not share."""
    import dns.resolver  # noqa: F401 - for the workers, which check domains

    from skymailing import jobs  # noqa: F401 - for the workers

    current_app.url_map.update()  # builds the pages
    configure_mappers()
    db.engine.dispose()
    queue.connection().connection_pool.disconnect()
    forked.prepare()


def _supervise(run_directory: Path) -> None:
    from skymailing.processes import supervisor  # only `flask up` needs the package

    config = current_app.config
    logs = programs.get_logs_directory(config["DATA_DIR"])
    logs.mkdir(mode=0o700, exist_ok=True)
    configuration = run_directory / "supervisor.conf"
    configuration.write_text(programs.build_configuration(programs.list_programs(config)))
    # The children work in another directory and must use the same files.
    os.environ["DATA_DIR"] = str(config["DATA_DIR"])
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.chdir(logs)
    host = "127.0.0.1" if config["HOST"] in ("0.0.0.0", "::", "") else config["HOST"]  # noqa: S104
    health_url = f"http://{programs.bind_address(host, config['PORT'])}/healthz"

    def is_ready() -> bool:
        # The first account letter must not arrive before the catcher listens.
        catcher_listens = not config["MAIL_CATCHER"] or instance_lock.is_listening(
            config["MAIL_SERVER"], config["MAIL_PORT"]
        )
        return catcher_listens and instance_lock.responds(health_url)

    say("Starting ...")
    log_format = output.SupervisorFormat() if config["LOG_FORMAT"] == "json" else None
    supervisor.supervise(configuration, PROJECT_DIR, logs, is_ready, _announce, say, log_format)
    remove_socket_directory(config["DATA_DIR"])


def _announce() -> None:
    config = current_app.config
    say(f"SkyMailing is running: {config['PUBLIC_URL']}/")
    if config["MAIL_CATCHER"]:
        say(f"Letters are kept here instead of being sent: {config['PUBLIC_URL']}/outbox/")
    say(f"Logs are in {programs.get_logs_directory(config['DATA_DIR'])}. Press Ctrl-C to stop SkyMailing.")
