"""Add rows that may violate a unique key: after any check, another request can still be faster."""

from typing import Any

from sqlalchemy.exc import IntegrityError

from skymailing.extensions import db


def add_unless_taken(row: Any) -> bool:
    """Add a row; return False if its unique key is taken. The transaction remains usable."""
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError:
        return False
    return True
