"""Test that commands start quickly: they import only what they need and build pages on demand."""

import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask, url_for

from config import TestingConfig
from skymailing import create_app
from skymailing.commands import COMMANDS

# Imports and URLs do not depend on the database.
pytestmark = pytest.mark.one_engine

PROJECT_DIR = Path(__file__).parents[2]
# Packages that are slow to import and not needed to list users.
SLOW_PACKAGES = {
    *("PIL", "aiosmtpd", "css_inline", "dns", "email_validator", "flask_admin", "liquid", "markdown_it"),
    *("alembic", "nh3", "prometheus_client", "redis", "rq", "rq_scheduler", "segno", "supervisor", "valkey"),
}
LIST_USERS = f"""
import sys
from flask.cli import main
sys.argv = ["flask", "--app", "wsgi", "users", "list"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sorted({SLOW_PACKAGES} & set(sys.modules)))
"""


@pytest.fixture
def lazy_app(environment: dict[str, str]) -> Flask:
    return create_app(TestingConfig(environment), defer_pages=True)


@pytest.mark.usefixtures("app")
def test_listing_users_imports_no_slow_packages(environment: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", LIST_USERS],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].split() == ["imported:"]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_exists(app: Flask, name: str) -> None:
    result = app.test_cli_runner().invoke(args=[name, "--help"])

    assert result.exit_code == 0, result.output
    assert name in app.test_cli_runner().invoke(args=["--help"]).output


def test_a_request_builds_deferred_pages(lazy_app: Flask) -> None:
    assert lazy_app.test_client().get("/auth/login").status_code == 200


def test_building_a_link_builds_deferred_pages(lazy_app: Flask) -> None:
    with lazy_app.test_request_context():
        assert url_for("auth.login") == "/auth/login"


def test_deferred_pages_equal_the_usual_ones(app: Flask, lazy_app: Flask) -> None:
    rules = {(str(rule), rule.endpoint) for rule in lazy_app.url_map.iter_rules()}

    assert rules == {(str(rule), rule.endpoint) for rule in app.url_map.iter_rules()}
    assert lazy_app.view_functions.keys() == app.view_functions.keys()
