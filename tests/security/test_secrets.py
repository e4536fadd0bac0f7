"""Test that passwords, tokens, settings and links in letters appear in no log, error, page or table."""

import logging
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from config import Config, TestingConfig
from skymailing import create_app
from skymailing.extensions import db
from skymailing.models import Role, User
from tests.auth.test_register import read_link
from tests.conftest import SignIn
from tests.security.conftest import World
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
TYPED = "typed-by-a-person-7431"
NEW_PASSWORD = {"password": TYPED, "password_confirm": TYPED}
SETTINGS = {
    "DATABASE_URL": "postgresql://sky:hunter2@127.0.0.1:1/sky",
    "REDIS_URL": "redis://:hunter3@127.0.0.1:1/0",
    "MAIL_PASSWORD": "hunter4",
    "MAIL_USERNAME": "sky",
    "SECRET_KEY": "hunter5" * 7,
    "METRICS_TOKEN": "hunter6",
    "WEBHOOK_SECRETS": "mailgun:hunter7-hunter7-hunter7",
    "WEBHOOK_KEYS": "mailgun:hunter8",
    "RETURN_MAILBOX": "imaps://ann:hunter9@127.0.0.1:1",
}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Capture everything that is logged, including debug messages."""
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.WARNING, "mail.log"),
    ):  # the tests' own server
        yield caplog


@pytest.fixture
def unreachable_app(environment: dict[str, str], session: Session) -> Iterator[Flask]:
    """Yield an app that cannot reach a database, Redis or mail server, with a secret in each setting."""
    config = TestingConfig(environment | SETTINGS)
    vars(config)["PROPAGATE_EXCEPTIONS"] = False
    config.MAIL_TIMEOUT = 1.0
    app = create_app(config)
    yield app
    with app.app_context():
        db.engine.dispose()


def test_passwords_and_tokens_are_not_logged(
    app: Flask, user: User, log: pytest.LogCaptureFixture, smtp: SmtpServer, work: Work
) -> None:
    visitor = app.test_client()
    visitor.post("/auth/login", data={"email": user.email, "password": TYPED})
    visitor.post("/auth/register", data={"email": "new@example.com"} | NEW_PASSWORD)
    visitor.post("/auth/reset", data={"email": user.email})
    work()
    link = next(read_link(letter) for letter in smtp.letters if letter.to == user.email)
    visitor.get(link)
    visitor.post(link, data=NEW_PASSWORD)
    token = link.rpartition("/")[2]
    for secret in (TYPED, PASSWORD, token, "$argon2"):
        assert secret not in log.text


def test_an_error_logs_neither_input_nor_settings(
    unreachable_app: Flask, log: pytest.LogCaptureFixture
) -> None:
    visitor = unreachable_app.test_client()
    for path in ("/auth/login", "/auth/register", "/auth/reset"):
        response = visitor.post(path, data={"email": "anna@example.com", "password": TYPED} | NEW_PASSWORD)
        assert response.status_code == 503
        assert TYPED not in response.text
        assert "hunter" not in response.text
        assert "Traceback" not in response.text
    assert "The database is unavailable" in log.text
    assert TYPED not in log.text
    assert "hunter" not in log.text


def test_a_database_error_contains_no_values(app: Flask, session: Session) -> None:
    """Database errors quote the values of a statement, such as password hashes and addresses."""
    with app.app_context(), pytest.raises(Exception, match="no_such_table") as raised:
        db.session.execute(text("INSERT INTO no_such_table VALUES (:hash)"), {"hash": TYPED})
    assert TYPED not in str(raised.value)


def test_commands_print_no_secret(unreachable_app: Flask, log: pytest.LogCaptureFixture) -> None:
    for command in (["doctor"], ["users", "list"], ["mailings", "list"], ["sweep"]):
        result = unreachable_app.test_cli_runner().invoke(args=command)
        assert result.exit_code != 0
        output = result.output + repr(result.exception) + log.text
        assert "hunter" not in output, command


def test_health_pages_show_no_secret(unreachable_app: Flask) -> None:
    for path in ("/readyz", "/healthz", "/metrics"):
        assert "hunter" not in unreachable_app.test_client().get(path).text
        assert "sky:" not in unreachable_app.test_client().get(path).text


def test_no_page_shows_a_secret(world: World, app: Flask, sign_in: SignIn) -> None:
    browser = sign_in(world.owner)
    with app.app_context():
        hashes = db.session.scalars(select(User.password_hash)).all()
    for _, method, path in world.requests(app):
        if method == "GET":
            page = browser.get(path, buffered=True).data.decode(errors="replace")
            for secret in ("$argon2", app.config["SECRET_KEY"], str(app.config["DATA_DIR"]), *hashes):
                assert secret not in page, path


def test_no_table_contains_a_password_or_a_link(
    app: Flask, session: Session, visitor: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    visitor.post("/auth/register", data={"email": "new@example.com"} | NEW_PASSWORD)
    work()
    token = read_link(smtp.letters[0]).rpartition("/")[2]
    for name in inspect(session.get_bind()).get_table_names():
        rows = repr(session.execute(text(f'SELECT * FROM "{name}"')).all())
        assert TYPED not in rows, name
        assert token not in rows, name


def test_passwords_are_argon2id_with_the_current_cost(
    app: Flask, visitor: FlaskClient, session: Session
) -> None:
    assert Config.PASSWORD_HASH_COST["memory_cost"] >= 19_456  # OWASP's minimum for t = 2
    assert Config.PASSWORD_HASH_COST["time_cost"] >= 2
    visitor.post("/auth/register", data={"email": "new@example.com"} | NEW_PASSWORD)
    password_hash = session.scalars(select(User.password_hash)).one()
    assert password_hash.startswith("$argon2id$v=19$")


def test_repr_of_a_user_contains_no_secret(session: Session) -> None:
    user = UserFactory.create(role=Role.ADMIN, totp_secret="sealed-key")
    assert "argon2" not in repr(user) + str(user)
    assert "sealed-key" not in repr(user) + str(user)
