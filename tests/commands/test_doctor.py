"""`flask doctor` says what is wrong and what to do; tests/processes asks it about a whole service."""

from collections.abc import Iterator

import pytest
from flask import Flask

from config import TestingConfig
from skymailing import create_app
from skymailing.extensions import db
from tests.servers import SmtpServer


@pytest.fixture
def broken_app(environment: dict[str, str]) -> Iterator[Flask]:
    """An app none of whose servers can be reached."""
    broken = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MAIL_PORT": "1",
    }
    app = create_app(TestingConfig(environment | broken))
    yield app
    with app.app_context():
        db.engine.dispose()


def test_each_problem_is_told_with_the_setting_to_check(broken_app: Flask) -> None:
    answer = broken_app.test_cli_runner().invoke(args=["doctor"])

    assert answer.exit_code == 1
    problems = [line for line in answer.output.splitlines() if line.startswith("PROBLEM")]
    names = [line.split()[1].rstrip(":") for line in problems]
    assert names == ["database", "redis", "scheduler", "workers", "mail"]
    for setting in ("DATABASE_URL", "REDIS_URL", "MAIL_SERVER"):
        assert setting in answer.output


def test_what_works_is_told_too(app: Flask, smtp: SmtpServer) -> None:
    answer = app.test_cli_runner().invoke(args=["doctor"])

    assert answer.exit_code == 1, answer.output  # no scheduler and no worker run here
    fine = [line.split()[1].rstrip(":") for line in answer.output.splitlines() if line.startswith("ok")]
    assert fine == ["configuration", "files", "database", "redis", "mail"]


def test_the_catcher_does_not_run_beside_a_real_mail_server(app: Flask) -> None:
    answer = app.test_cli_runner().invoke(args=["catcher"])

    assert answer.exit_code == 1
    assert "MAIL_SERVER is set" in answer.output
