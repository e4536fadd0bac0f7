"""Conditions on clients that depend on rows of other tables."""

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, select

from skymailing.models import Client, SignupForm, client_forms, client_tags

Condition = ColumnElement[bool]


def has_tag(tag_ids: Select[Any] | int, dialect: str) -> Condition:
    """Return the condition that a client has a tag, given by its ID or by a query for it."""
    chosen = tag_ids if isinstance(tag_ids, int) else tag_ids.scalar_subquery()
    rows = select(client_tags.c.client_id).where(client_tags.c.tag_id == chosen)
    return is_among(Client.id, client_tags.c.client_id, rows, dialect)


def used_form(owner_id: int, uuid: str, dialect: str) -> Condition:
    """Return the condition that a client confirmed through a sign-up form."""
    own = select(SignupForm.id).where(SignupForm.owner_id == owner_id, SignupForm.uuid == uuid)
    rows = select(client_forms.c.client_id).where(client_forms.c.form_id == own.scalar_subquery())
    return is_among(Client.id, client_forms.c.client_id, rows, dialect)


def is_among(column: Any, key: Any, rows: Select[Any], dialect: str) -> Condition:
    """Return the condition that `column` is a `key` in `rows`, in the form that is fast on the database.

    SQLite reads the rows of an IN once, but those of an EXISTS once for each client. PostgreSQL can join the
    rows of an EXISTS, but not those of a NOT IN if they do not fit in its memory.
    """
    if dialect == "sqlite":
        is_listed: Condition = column.in_(rows)
        return is_listed
    return exists(rows.where(key == column).correlate(Client))
