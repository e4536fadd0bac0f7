"""Conditions on clients that depend on rows of other tables: tags, forms, purchases and topics."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, not_, select

from skymailing.extensions import db
from skymailing.models import Client, Purchase, SignupForm, Topic, TopicChoice, client_forms, client_tags

Condition = ColumnElement[bool]


def has_tag(tag_ids: Select[Any] | int, dialect: str) -> Condition:
    """Return the condition that a client has a tag, given by its ID or by a query for it."""
    chosen = tag_ids if isinstance(tag_ids, int) else tag_ids.scalar_subquery()
    rows = select(client_tags.c.client_id).where(client_tags.c.tag_id == chosen)
    return is_among(Client.id, client_tags.c.client_id, rows, dialect)


def used_form(owner_id: int, uuid: str, dialect: str) -> Condition:
    """Return the condition that a client signed up through a form and confirmed it."""
    form_id = select(SignupForm.id).where(SignupForm.owner_id == owner_id, SignupForm.uuid == uuid)
    rows = select(client_forms.c.client_id).where(client_forms.c.form_id == form_id.scalar_subquery())
    return is_among(Client.id, client_forms.c.client_id, rows, dialect)


def has_bought(owner_id: int, since: datetime, dialect: str) -> Condition:
    """Return the condition that a client has made a purchase since this time."""
    # If the list contained NULL, a negation would match no client on SQLite.
    rows = select(Purchase.client_id).where(
        *(Purchase.owner_id == owner_id, Purchase.client_id.is_not(None)),
        *(Purchase.purchased_at >= since, Purchase.amount > 0),
    )
    return is_among(Client.id, Purchase.client_id, rows, dialect)


def topic_condition(topic: Topic) -> Condition:
    """Return the condition that a client gets the topic's mailings, unless the address is suppressed."""
    # The clients who have joined an opt-in topic, or have left another topic.
    chosen = select(TopicChoice.email_key).where(
        TopicChoice.topic_id == topic.id, TopicChoice.is_joined == topic.is_opt_in
    )
    is_listed = is_among(Client.email_key, TopicChoice.email_key, chosen, db.engine.dialect.name)
    return is_listed if topic.is_opt_in else not_(is_listed)


def gets_topic(topic_id: int, email_key: Any) -> Condition:
    """Return the condition that an address gets the topic's mailings, for queries that read few rows.

    For a deleted topic, the condition is false.
    """
    is_their_choice = (TopicChoice.topic_id == Topic.id) & (TopicChoice.email_key == email_key)
    # The address belongs to the outermost query.
    has_chosen = exists().where(is_their_choice, TopicChoice.is_joined == Topic.is_opt_in)
    has_chosen = has_chosen.correlate_except(TopicChoice)
    return exists().where(Topic.id == topic_id, Topic.is_opt_in == has_chosen)


def is_among(column: Any, key: Any, rows: Select[Any], dialect: str) -> Condition:
    """Return the condition that `column` is a `key` in `rows`, in the form that is fast on the database.

    SQLite reads the rows of an IN once, but those of an EXISTS once for each client. PostgreSQL can join the
    rows of an EXISTS, but not those of a NOT IN if they do not fit in its memory.
    """
    if dialect == "sqlite":
        is_listed: Condition = column.in_(rows)
        return is_listed
    return exists(rows.where(key == column).correlate(Client))
