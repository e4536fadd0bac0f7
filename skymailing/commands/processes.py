"""The service's processes: all of them under one supervisor, or each by itself."""

import logging
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

from skymailing import queue, schedule
from skymailing.clock import utcnow
from skymailing.delivery.recovery import sweep
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.logs import output
from skymailing.monitoring import checks
from skymailing.processes import instance_lock, programs, supervisor
from skymailing.processes.embedded_redis import remove_socket_directory

logger = logging.getLogger(__name__)

PROJECT_DIR = Path(__file__).resolve().parents[2]


@click.command("up")
@click.option("--migrate", is_flag=True, help="Bring the database's tables up to date first.")
@with_appcontext
def up(migrate: bool) -> None:
    """Run everything: web, workers, scheduler, and what is embedded. Ctrl-C stops it."""
    config = current_app.config
    run_directory = config["DATA_DIR"] / "run"
    use_utc()
    try:
        with instance_lock.exclusive(run_directory, config["PUBLIC_URL"]) as was_unclean:
            if was_unclean:
                instance_lock.wait_for_leavers(
                    _ports(), queue.connection() if config["EMBEDDED_REDIS"] else None
                )
            _check_ports()
            _prepare_database(migrate)
            _supervise(run_directory)
    except SkyMailingError as error:
        fail(str(error))
    say("Stopped.")


@click.command("web")
@with_appcontext
def web() -> None:
    """Run the web server alone, on HOST and PORT, as gunicorn in this very process."""
    use_utc()
    command = programs.web_command(current_app.config)
    db.engine.dispose()
    os.execv(command[0], command)  # noqa: S606 - the interpreter that runs this


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Run one worker; SIGTERM lets it finish the window of letters that it has begun."""
    _begin("worker")
    read_back_journals()
    queue.make_worker().work()


@click.command("scheduler")
@with_appcontext
def scheduler() -> None:
    """Run the scheduler of start times and sweeps."""
    _begin("scheduler")
    schedule.make_scheduler().run()


@click.command("catcher")
@with_appcontext
def catcher() -> None:
    """Run the mail catcher of development, which keeps letters instead of sending them."""
    from skymailing.mail_catcher.server import serve  # aiosmtpd is of no use to the other commands

    if not current_app.config["MAIL_CATCHER"]:
        fail("MAIL_SERVER is set, so letters go there; the catcher is for when it is not.")
    output.install(current_app.config)
    try:
        serve(current_app.config["MAIL_PORT"], current_app.config["DATA_DIR"] / "outbox")
    except OSError as error:
        fail(f"The catcher cannot listen on port {current_app.config['MAIL_PORT']}: {error.strerror}.")


def read_back_journals() -> None:
    """Settle at once what workers of this host left when they were killed.

    A sweep by another host's worker knows nothing of it, and would call it unknown once its lease is over.
    """
    try:
        sweep.recover_dead_journals(current_app.config["DATA_DIR"] / "journal", utcnow())
    except SQLAlchemyError as error:
        logger.warning("the journals are left to the sweep: %s", error)


def use_utc() -> None:
    """Let this process and its children live in UTC, as rq-scheduler expects."""
    os.environ["TZ"] = "UTC"
    time.tzset()


def say(text: str) -> None:
    """Tell the person at the console."""
    click.echo(text)


def fail(text: str) -> NoReturn:
    """End with an explanation."""
    click.echo(text, err=True)
    sys.exit(1)


def _begin(name: str) -> None:
    use_utc()
    output.install(current_app.config)
    try:
        queue.wait_for_redis()
    except RedisError as error:
        fail(f"The {name} needs Redis, which does not answer: {error}")


def _ports() -> list[tuple[str, int]]:
    config = current_app.config
    ports = [(config["HOST"], config["PORT"])]
    if config["MAIL_CATCHER"]:
        ports.append((config["MAIL_SERVER"], config["MAIL_PORT"]))
    return ports


def _check_ports() -> None:
    for (host, port), variable in zip(_ports(), ("PORT", "MAIL_PORT"), strict=False):
        instance_lock.check_port(host, port, variable)


def _prepare_database(migrate: bool) -> None:
    logging.disable(logging.INFO)  # a person who starts the service need not read Alembic's notes
    if migrate:
        from flask_migrate import upgrade

        upgrade(str(PROJECT_DIR / "migrations"))
    database = checks.check_database()
    logging.disable(logging.NOTSET)
    # An SQLite connection must not be carried into the children.
    db.engine.dispose()
    if not database.is_ok:
        fail(f"The database is not ready: {database.finding}. {database.advice}")


def _supervise(run_directory: Path) -> None:
    config = current_app.config
    logs = programs.logs_directory(config["DATA_DIR"])
    logs.mkdir(mode=0o700, exist_ok=True)
    configuration = run_directory / "supervisor.conf"
    configuration.write_text(programs.supervisor_configuration(programs.list_programs(config)))
    # The children are started from another directory and must find the same files.
    os.environ["DATA_DIR"] = str(config["DATA_DIR"])
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.chdir(logs)
    host = "127.0.0.1" if config["HOST"] in ("0.0.0.0", "::", "") else config["HOST"]  # noqa: S104
    health_url = f"http://{programs.bind_address(host, config['PORT'])}/healthz"

    def is_ready() -> bool:
        # The first account letter should not find the catcher still on its way.
        caught = not config["MAIL_CATCHER"] or instance_lock.listens(
            config["MAIL_SERVER"], config["MAIL_PORT"]
        )
        return caught and instance_lock.answers(health_url)

    say("Starting ...")
    shape = output.SupervisorFormat() if config["LOG_FORMAT"] == "json" else None
    supervisor.supervise(configuration, PROJECT_DIR, is_ready, _announce, say, shape)
    remove_socket_directory(config["DATA_DIR"])


def _announce() -> None:
    config = current_app.config
    say(f"SkyMailing is running: {config['PUBLIC_URL']}/")
    if config["MAIL_CATCHER"]:
        say(f"Letters are not sent but kept here: {config['PUBLIC_URL']}/outbox/")
    say(f"Logs are in {programs.logs_directory(config['DATA_DIR'])}. Ctrl-C stops it.")
