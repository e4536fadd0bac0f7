"""Test how `flask doctor` reports problems. tests/processes runs it against a whole service."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import counters, create_app
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.monitoring.doctor import host
from tests.support.servers import SmtpServer

# Most checks do not read the database.
pytestmark = pytest.mark.one_engine

UNREACHABLE_URL = "http://127.0.0.1:1"


@pytest.fixture
def broken_app(environment: dict[str, str]) -> Iterator[Flask]:
    """Yield an app that cannot reach any of its servers."""
    unreachable_servers = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MAIL_PORT": "1",
        "DNS_SERVER": "127.0.0.1:1",
        "PUBLIC_URL": UNREACHABLE_URL,
    }
    app = create_app(TestingConfig(environment | unreachable_servers))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def _no_network(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "PUBLIC_URL", UNREACHABLE_URL)
    monkeypatch.setitem(app.config, "DNS_SERVER", "127.0.0.1:1")


def list_checks(output: str, status: str) -> list[str]:
    """Return the names of the checks that were printed with a status: "ok", "PROBLEM" or "?"."""
    return [line.split()[1].rstrip(":") for line in output.splitlines() if line.startswith(status + " ")]


def test_each_problem_names_the_setting_to_check(broken_app: Flask) -> None:
    result = broken_app.test_cli_runner().invoke(args=["doctor"])

    assert result.exit_code == 1
    assert list_checks(result.output, "PROBLEM") == [
        *("database", "redis", "scheduler", "workers", "sweep", "mail-server", "site")
    ]
    assert list_checks(result.output, "?") == [
        *("returned", "signature", "clock", "sender-domain", "spf", "dkim", "dmarc")
    ]
    for setting in ("DATABASE_URL", "REDIS_URL", "MAIL_SERVER", "PUBLIC_URL"):
        assert setting in result.output


@pytest.mark.both_engines
@pytest.mark.usefixtures("_no_network")
def test_working_components_are_reported_as_ok(app: Flask, smtp: SmtpServer) -> None:
    result = app.test_cli_runner().invoke(args=["doctor"])

    assert result.exit_code == 1, result.output  # no scheduler or worker is running
    assert list_checks(result.output, "ok") == [
        *("configuration", "files", "journals", "disk", "proxy", "database", "redis", "returned"),
        *("mail-server", "clock"),
    ]


def test_only_selected_checks_run_and_are_printed_as_json(app: Flask, session: Session) -> None:
    result = app.test_cli_runner().invoke(args=["doctor", "--only", "database", "--only", "redis", "--json"])
    failing = app.test_cli_runner().invoke(args=["doctor", "--only", "workers", "--json"])

    assert result.exit_code == 0
    report = json.loads(result.output)
    assert report["ok"] is True
    assert [(check["name"], check["ok"]) for check in report["checks"]] == [
        ("database", True),
        ("redis", True),
    ]
    assert failing.exit_code == 1
    (check,) = json.loads(failing.output)["checks"]
    assert (check["ok"], check["finding"]) == (False, "not running")
    assert "systemctl" in check["advice"]


def test_files_readable_by_others_are_a_problem(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(app.config, "DATA_DIR", tmp_path)
    (tmp_path / "secret-key").write_text("secret")
    for mode, path in ((0o644, tmp_path / "secret-key"), (0o755, tmp_path)):
        path.chmod(mode)
        result = app.test_cli_runner().invoke(args=["doctor", "--only", "files"])
        assert result.exit_code == 1
        assert f"chmod go= {path}\n" in result.output
        path.chmod(0o700)

    assert app.test_cli_runner().invoke(args=["doctor", "--only", "files"]).exit_code == 0


def test_a_nearly_full_disk_is_a_problem(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with_space = app.test_cli_runner().invoke(args=["doctor", "--only", "disk"])
    monkeypatch.setattr(host, "MIN_FREE_BYTES", 1 << 60)
    without_space = app.test_cli_runner().invoke(args=["doctor", "--only", "disk"])

    assert (with_space.exit_code, without_space.exit_code) == (0, 1)
    assert "MB free" in without_space.output


def test_redis_on_the_network_needs_a_password(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for url, is_ok in (
        ("redis://10.0.0.1:6379/0", False),
        ("redis://:secret@10.0.0.1:6379/0", True),
        ("redis://127.0.0.1:6379/0", True),
    ):
        monkeypatch.setitem(app.config, "REDIS_URL", url)  # the app still uses its old connection
        result = app.test_cli_runner().invoke(args=["doctor", "--only", "redis"])
        assert (result.exit_code == 0) == is_ok, result.output


def test_a_public_web_server_needs_a_proxy(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for address, proxies, is_ok in (
        ("0.0.0.0", 0, False),
        ("::", 0, False),
        ("192.0.2.1", 0, False),
        ("0.0.0.0", 1, True),
        ("127.0.0.1", 0, True),
    ):
        monkeypatch.setitem(app.config, "HOST", address)
        monkeypatch.setitem(app.config, "TRUSTED_PROXIES", proxies)
        result = app.test_cli_runner().invoke(args=["doctor", "--only", "proxy"])
        assert (result.exit_code == 0) == is_ok, result.output


@pytest.mark.both_engines
def test_a_late_sweep_is_a_problem(app: Flask, session: Session) -> None:
    with app.app_context():
        counters.set_gauge("last_sweep", utcnow().timestamp())
    fresh = app.test_cli_runner().invoke(args=["doctor", "--only", "sweep"])
    with time_machine.travel(utcnow() + timedelta(minutes=5)):
        late = app.test_cli_runner().invoke(args=["doctor", "--only", "sweep"])

    assert fresh.exit_code == 0, fresh.output
    assert late.exit_code == 1
    assert "seconds ago" in late.output


@pytest.mark.both_engines
def test_an_unreadable_journal_is_a_problem(app: Flask) -> None:
    journal = app.config["DATA_DIR"] / "journal" / "moved.jsonl"
    journal.mkdir(parents=True)
    try:
        result = app.test_cli_runner().invoke(args=["doctor", "--only", "journals"])
    finally:
        journal.rmdir()

    assert result.exit_code == 1
    assert f"{journal} cannot be read: Is a directory" in result.output


@pytest.mark.both_engines
@pytest.mark.usefixtures("_no_network")
def test_a_wrong_system_clock_is_a_problem(app: Flask, session: Session) -> None:
    with time_machine.travel(utcnow() - timedelta(minutes=2)):
        result = app.test_cli_runner().invoke(args=["doctor", "--only", "clock"])

    assert result.exit_code == 1
    assert "seconds behind" in result.output
    assert "timedatectl" in result.output


def test_the_catcher_does_not_start_if_a_real_mail_server_is_configured(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["catcher"])

    assert result.exit_code == 1
    assert "MAIL_SERVER is set" in result.output
