"""Run the migrations of the app's database.

Alembic takes 0.2 s to import, so this module is imported inside functions; most processes never need it.
"""

from functools import cache
from pathlib import Path

import flask_migrate
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import Migrate

from skymailing.extensions import db

DIRECTORY = Path(__file__).resolve().parents[2] / "migrations"

extension = Migrate(db=db, directory=str(DIRECTORY), render_as_batch=True)


def configure() -> None:
    """Make Flask-Migrate's functions and commands work with the current app."""
    if "migrate" not in current_app.extensions:
        extension.init_app(current_app)


def upgrade(revision: str = "head") -> None:
    """Upgrade the tables to a revision."""
    configure()
    flask_migrate.upgrade(revision=revision)


def downgrade(revision: str) -> None:
    """Revert the tables to an older revision."""
    configure()
    flask_migrate.downgrade(revision=revision)


def read_revision() -> str | None:
    """Return the database's revision; None if it has no tables."""
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def list_revisions() -> tuple[frozenset[str], str | None]:
    """Return all revisions that this version knows, and the latest one."""
    scripts = ScriptDirectory(str(DIRECTORY))
    return frozenset(script.revision for script in scripts.walk_revisions()), scripts.get_current_head()
