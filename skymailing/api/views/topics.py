"""Topics: list, read, add, change and delete them."""

from dataclasses import replace
from typing import Any

from flask import url_for

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.topics import NewTopic, TopicChange, TopicSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.models import Topic
from skymailing.security import get_own
from skymailing.topics import queries, services
from skymailing.topics.queries import Counts
from skymailing.topics.services import TopicValues

bp = Resource("topics", "What mailings are about; people can leave each topic separately.")

SCHEMA = TopicSchema()
FIELDS = ("id", "name", "description", "is_public", "is_opt_in", "position", "created_at", "updated_at")


@bp.operation("GET /topics", Scope.CLIENTS_READ, query=PageQuery, gives=list_of(TopicSchema))
def list_topics(query: dict[str, Any]) -> Any:
    """List topics, in the order in which clients see them."""
    owner_id = current_access().owner_id
    order = [(Topic.position, False), (Topic.name_key, False)]
    listing = list_after(queries.select_topics(owner_id), order, query.get("after"), query["limit"])
    counts = queries.count_choices(owner_id)
    return page_of(listing, [describe(topic, counts.get(topic.id, Counts())) for topic in listing.items])


@bp.operation("GET /topics/<int:topic_id>", Scope.CLIENTS_READ, gives=TopicSchema)
def get_topic(topic_id: int) -> Any:
    """Get a topic."""
    return describe_one(get_own(Topic, topic_id))


@bp.operation("POST /topics", Scope.CLIENTS_WRITE, takes=NewTopic, gives=TopicSchema, status=201)
def create_topic(values: dict[str, Any]) -> Any:
    """Add a topic below the others."""
    topic = services.add_topic(current_access().owner_id, read_values(TopicValues(""), values))
    return describe_one(topic), 201, {"Location": url_for("api_topics.get_topic", topic_id=topic.id)}


@bp.operation("PATCH /topics/<int:topic_id>", Scope.CLIENTS_WRITE, takes=TopicChange, gives=TopicSchema)
def update_topic(values: dict[str, Any], topic_id: int) -> Any:
    """Change some values of a topic.

    A new name also applies to the conditions of segments.
    """
    topic = get_own(Topic, topic_id)
    services.lock_topic(topic)
    check_if_match(SCHEMA, describe_one(topic))
    saved = TopicValues(topic.name, topic.description, topic.is_public, topic.is_opt_in)
    services.change_topic(topic, read_values(saved, values))
    return describe_one(topic)


@bp.operation("DELETE /topics/<int:topic_id>", Scope.CLIENTS_WRITE, status=204)
def delete_topic(topic_id: int) -> Any:
    """Delete a topic that no unfinished mailing uses, with people's choices."""
    topic = get_own(Topic, topic_id)
    services.lock_topic(topic)
    check_if_match(SCHEMA, describe_one(topic))
    services.delete_topic(topic, current_actor())
    return "", 204


def read_values(saved: TopicValues, values: dict[str, Any]) -> TopicValues:
    """Return the values with the given changes, cleaned as in the form."""
    changed = replace(saved, **values)
    return replace(changed, name=" ".join(changed.name.split()), description=changed.description.strip())


def describe_one(topic: Topic) -> dict[str, Any]:
    return describe(topic, queries.count_choices(topic.owner_id).get(topic.id, Counts()))


def describe(topic: Topic, counts: Counts) -> dict[str, Any]:
    """Return a topic with its counts, for the schema."""
    return {name: getattr(topic, name) for name in FIELDS} | {"joined": counts.joined, "left": counts.left}
