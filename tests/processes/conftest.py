"""Fixtures for the tests of backups."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from skymailing.extensions import db
from tests.support.schema import find_postgres_programs


@pytest.fixture
def replacement(original: dict[str, str], app: Flask, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the settings of an installation with an empty database of the same kind as `original`."""
    own_settings = {
        "DATA_DIR": str(tmp_path / "replacement"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'replacement.db'}",
    }
    if original["DATABASE_URL"].startswith("sqlite"):
        yield original | own_settings
        return
    with app.app_context():
        url = db.engine.url
    name = f"restored_{time.monotonic_ns()}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    own_settings["DATABASE_URL"] = url.set(database=name).render_as_string(hide_password=False)
    yield original | own_settings
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(autouse=True)
def _client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use pg_dump and pg_restore from the PostgreSQL that the tests use."""
    monkeypatch.setenv("PATH", f"{find_postgres_programs()}:{os.environ['PATH']}")
