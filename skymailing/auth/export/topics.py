"""Read an account's topics, people's choices of topics, and opt-outs, for the export."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import cells, read_in_chunks, read_own
from skymailing.models import OptOut, Topic, TopicChoice


def read_topics(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's topics."""
    return read_own(Topic, user_id, "name", "description", "is_public", "is_opt_in", "position")


def read_topic_choices(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the choices of people who joined or left topics."""
    yield ("topic", "email", "is_joined", "is_by_owner", "since")
    columns = (TopicChoice.email_key, TopicChoice.is_joined, TopicChoice.is_by_owner, TopicChoice.changed_at)
    statement = select(Topic.id, Topic.name).where(Topic.owner_id == user_id)
    for topic_id, name in read_in_chunks(statement, Topic.__table__.c.id):
        choices = select(TopicChoice.email_key, *columns).where(TopicChoice.topic_id == topic_id)
        for row in read_in_chunks(choices, TopicChoice.__table__.c.email_key, ""):
            yield (name, *cells(row))


def read_opt_outs(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the people who unsubscribed through the link in a letter, and their reasons."""
    yield ("email", "topic", "at", "undone_at", "reason", "comment", "run_id")
    columns = (OptOut.email_key, Topic.name, OptOut.at, OptOut.undone_at, OptOut.reason, OptOut.comment)
    statement = select(OptOut.id, *columns).outerjoin(Topic, Topic.id == OptOut.topic_id)
    statement = statement.where(OptOut.owner_id == user_id)
    yield from map(cells, read_in_chunks(statement, OptOut.__table__.c.id))
