"""Add rows that a unique key may refuse: another request can be faster after any check."""

from typing import Any

from sqlalchemy.exc import IntegrityError

from skymailing.extensions import db


def add_unless_taken(row: Any) -> bool:
    """Add a row; return False if its unique key is taken, after which the transaction can still be used."""
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError:
        return False
    return True
