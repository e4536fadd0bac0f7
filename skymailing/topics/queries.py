"""Read an owner's topics, the number of people who chose them, and the mailings that use them."""

from dataclasses import dataclass

from flask_babel import pgettext
from sqlalchemy import Select, func, select

from skymailing.delivery.eligibility import can_be_extended, is_unfinished
from skymailing.extensions import db
from skymailing.models import Mailing, Topic, TopicChoice


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of people who have joined a topic, and who have left it."""

    joined: int = 0
    left: int = 0


def select_topics(owner_id: int) -> Select[tuple[Topic]]:
    """Return a statement for the owner's topics in the order that the owner chose."""
    return select(Topic).where(Topic.owner_id == owner_id).order_by(Topic.position, Topic.name_key)


def list_topics(owner_id: int) -> list[Topic]:
    """Return the owner's topics in the order that the owner chose."""
    return list(db.session.scalars(select_topics(owner_id)))


def find_topic(owner_id: int, topic_id: int | None, *, keep: bool = False) -> Topic | None:
    """Return the owner's topic with this ID; with `keep`, it cannot be deleted until the transaction ends."""
    if not topic_id:
        return None
    statement = select(Topic).where(Topic.id == topic_id, Topic.owner_id == owner_id)
    return db.session.scalar(statement.with_for_update(read=True, key_share=True) if keep else statement)


def list_topic_choices(owner_id: int) -> list[tuple[int, str]]:
    """Return the choices of a mailing's form: 0 for no topic, then the topics."""
    no_topic = pgettext("topic", "none")
    return [(0, no_topic), *((topic.id, topic.name) for topic in list_topics(owner_id))]


def count_choices(owner_id: int) -> dict[int, Counts]:
    """Return how many people joined and left each of the owner's topics, by ID."""
    joined = func.count().filter(TopicChoice.is_joined)
    left = func.count().filter(~TopicChoice.is_joined)
    rows = select(TopicChoice.topic_id, joined, left).where(TopicChoice.owner_id == owner_id)
    found = db.session.execute(rows.group_by(TopicChoice.topic_id)).tuples()
    return {topic_id: Counts(*counts) for topic_id, *counts in found}


def find_blocking_mailings(topic_id: int) -> Select[tuple[Mailing]]:
    """Select the mailings that still need a topic, since they may start or be extended."""
    uses = select(Mailing).where(Mailing.topic_id == topic_id)
    return uses.where(is_unfinished() | can_be_extended()).order_by(Mailing.id.desc())
