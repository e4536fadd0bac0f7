"""Provide an app with an empty database, first on SQLite and then on PostgreSQL."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from bench.databases import PostgreSQL
from config import load_config
from skymailing import create_app
from skymailing.db import migrations
from skymailing.extensions import db

PROJECT_DIR = Path(__file__).parents[1]


def open_apps(name: str, **settings: str) -> Iterator[Flask]:
    """Yield an app with `settings` for each of the databases, in its app context.

    `name` is the name of the PostgreSQL database.
    """
    logging.disable(logging.INFO)  # migrations log many lines
    with tempfile.TemporaryDirectory(prefix="skymailing-bench-") as folder:
        directory = Path(folder)
        environment = {
            "SKYMAILING_ENV": "testing",
            "SECRET_KEY": "x" * 40,
            "DATA_DIR": str(directory / "data"),
            **settings,
        }
        postgresql = PostgreSQL(directory)
        for url in ("", postgresql.create(name)):
            app = create_app(load_config(environment | ({"DATABASE_URL": url} if url else {})))
            with app.app_context():
                migrations.upgrade()
                yield app
                db.session.remove()
                db.engine.dispose()
        postgresql.stop()
