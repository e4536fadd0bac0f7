"""Lock clients in one order everywhere, so that two transactions cannot deadlock."""

from sqlalchemy import ColumnElement

from skymailing.extensions import db
from skymailing.models import Client


def make_locking_order() -> ColumnElement[str]:
    """Return the order in which to lock clients, the same as in imports (`upsert.py`)."""
    key = Client.email_key
    return key.collate("C") if db.engine.dialect.name == "postgresql" else key.expression
