"""Conditions that a client is among rows of another table: has a tag, or gets the mailings of a topic."""

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, not_, select

from skymailing.extensions import db
from skymailing.models import Client, Topic, TopicChoice, client_tags


def has_tag(tag_ids: Select[Any] | int, dialect: str) -> ColumnElement[bool]:
    """Return the condition that a client has a tag, given by its ID or by a query for it."""
    chosen = tag_ids if isinstance(tag_ids, int) else tag_ids.scalar_subquery()
    rows = select(client_tags.c.client_id).where(client_tags.c.tag_id == chosen)
    return is_among(Client.id, client_tags.c.client_id, rows, dialect)


def topic_condition(topic: Topic) -> ColumnElement[bool]:
    """Return the condition that a client gets the topic's mailings, unless the address is suppressed."""
    # Those who joined a topic that people choose, or those who left another one.
    chosen = select(TopicChoice.email_key).where(
        TopicChoice.topic_id == topic.id, TopicChoice.is_joined == topic.is_opt_in
    )
    is_listed = is_among(Client.email_key, TopicChoice.email_key, chosen, db.engine.dialect.name)
    return is_listed if topic.is_opt_in else not_(is_listed)


def gets_topic(topic_id: int, email_key: Any) -> ColumnElement[bool]:
    """Return the same condition for an address in a few rows; no one gets a topic that has been deleted."""
    is_theirs = (TopicChoice.topic_id == Topic.id) & (TopicChoice.email_key == email_key)
    # The address belongs to the outermost query.
    has_chosen = exists().where(is_theirs, TopicChoice.is_joined == Topic.is_opt_in)
    has_chosen = has_chosen.correlate_except(TopicChoice)
    return exists().where(Topic.id == topic_id, Topic.is_opt_in == has_chosen)


def is_among(column: Any, key: Any, rows: Select[Any], dialect: str) -> ColumnElement[bool]:
    """Return the condition that `column` is a `key` in `rows`, in the form that is fast on the database.

    SQLite reads the rows of an IN once, but those of an EXISTS once for each client. PostgreSQL can join the
    rows of an EXISTS, but not those of a NOT IN if they do not fit in its memory.
    """
    if dialect == "sqlite":
        is_listed: ColumnElement[bool] = column.in_(rows)
        return is_listed
    return exists(rows.where(key == column).correlate(Client))
