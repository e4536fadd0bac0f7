"""Add, change, order and delete topics; lock the owner's row to enforce the limit and keep the order."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.clients.named_conditions import rename_in_segments
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, Mailing, Topic
from skymailing.quotas.checks import require_room, select_topics
from skymailing.quotas.locking import lock_owner
from skymailing.settings.quotas import quota_settings
from skymailing.topics.queries import find_blocking_mailings, list_topics


class TopicError(UserError):
    """A topic cannot be saved."""


class TopicInUse(UserError):
    """Unfinished mailings use the topic, so it cannot be deleted."""

    def __init__(self, mailings: list[Mailing]) -> None:
        super().__init__("topic_in_use", names=", ".join(f"“{mailing.name}”" for mailing in mailings))


@dataclass(frozen=True, slots=True)
class TopicValues:
    """An owner's choices for a topic, with a cleaned name."""

    name: str
    description: str = ""
    is_public: bool = True
    is_opt_in: bool = False


def add_topic(owner_id: int, values: TopicValues) -> Topic:
    """Add a topic below the others; raises TopicError and LimitReached."""
    lock_owner(owner_id)
    require_room("topic_limit", select_topics(owner_id), quota_settings().topics)
    last = max((topic.position for topic in list_topics(owner_id)), default=-1)
    topic = Topic(owner_id=owner_id, position=last + 1)
    _write(topic, values)
    return topic


def lock_topic(topic: Topic) -> None:
    """Lock a topic after its owner, as all changes do; raises TopicError if it has been deleted."""
    lock_owner(topic.owner_id)
    _lock_topic(topic)


def change_topic(topic: Topic, values: TopicValues) -> None:
    """Change a topic; its name also changes in the conditions of segments. Raises TopicError."""
    lock_topic(topic)
    old_key = topic.name_key
    _write(topic, values)
    rename_in_segments(topic.owner_id, "topic", old_key, values.name)


def _write(topic: Topic, values: TopicValues) -> None:
    key = values.name.lower()
    same = select(Topic.id).where(Topic.owner_id == topic.owner_id, Topic.name_key == key)
    if db.session.scalar(same) not in (None, topic.id):
        raise TopicError("topic_exists", name=values.name)
    topic.name, topic.name_key, topic.description = values.name, key, values.description
    topic.is_public, topic.is_opt_in = values.is_public, values.is_opt_in
    db.session.add(topic)
    db.session.flush()


def move_up(topic: Topic) -> None:
    """Move a topic above the previous one."""
    lock_owner(topic.owner_id)
    topics = list_topics(topic.owner_id)
    # Another window may have deleted the topic.
    if index := next((index for index, other in enumerate(topics) if other.id == topic.id), 0):
        topics[index - 1 : index + 1] = topic, topics[index - 1]
    for position, listed in enumerate(topics):
        listed.position = position
    db.session.flush()


def check_unused(topic_id: int) -> None:
    """Raise TopicInUse if a mailing that may still start has the topic."""
    if mailings := list(db.session.scalars(find_blocking_mailings(topic_id))):
        raise TopicInUse(mailings)


def delete_topic(topic: Topic, actor: Actor) -> None:
    """Delete a topic with people's choices, and remove it from ended mailings. Raises TopicInUse.

    The mailings' runs keep the topic's ID, so that resending their letters reaches no one.
    """
    lock_owner(topic.owner_id)
    _lock_topic(topic)
    topic_id = topic.id
    try:
        with db.session.begin_nested():
            check_unused(topic_id)
            uses = update(Mailing).where(Mailing.topic_id == topic_id)
            db.session.execute(uses.values(topic_id=None, updated_at=Mailing.updated_at))
            audit.record(AuditAction.TOPIC_DELETED, actor, topic)
            db.session.delete(topic)
            db.session.flush()
    except IntegrityError as error:
        # A mailing with this topic was saved after the check; the foreign key prevented the deletion.
        check_unused(topic_id)
        raise TopicInUse([]) from error


def _lock_topic(topic: Topic) -> None:
    """Lock a topic until the transaction ends, and read it again; raises TopicError if it was deleted."""
    try:
        db.session.refresh(topic, with_for_update=True)
    except InvalidRequestError as error:
        raise TopicError("topic_deleted") from error
