"""flask db: Flask-Migrate's commands."""

from typing import Any

import click
from flask.cli import with_appcontext
from flask_migrate.cli import db as group

from skymailing.db import migrations


@click.group("db", help=group.help, params=group.params, commands=group.commands)
@with_appcontext
def db(**options: Any) -> None:
    migrations.configure()
    assert group.callback is not None
    group.callback(**options)
