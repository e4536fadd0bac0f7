"""Clients' choices about topics. Only the client can join a topic again after leaving it."""

from typing import Any

from flask import abort

from skymailing.api.schemas.topics import ChoiceInput, Choices, ChoiceSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.etags import check_if_match
from skymailing.clients.topic_choices import TopicState, choose_as_owner, list_states
from skymailing.clock import utcnow
from skymailing.models import Client
from skymailing.security import get_own

bp = Resource("topic_choices", "Which topics a client gets.")

SCHEMA = ChoiceSchema()


@bp.operation("GET /clients/<big:client_id>/topics", Scope.CLIENTS_READ, gives=Choices)
def list_client_topics(client_id: int) -> Any:
    """List all topics, with a client's choice about each."""
    return {"data": [describe(state) for state in read_states(get_own(Client, client_id))]}


@bp.operation("GET /clients/<big:client_id>/topics/<int:topic_id>", Scope.CLIENTS_READ, gives=ChoiceSchema)
def get_client_topic(client_id: int, topic_id: int) -> Any:
    """Get a client's choice about a topic."""
    return describe(find_state(get_own(Client, client_id), topic_id))


@bp.operation(
    "PUT /clients/<big:client_id>/topics/<int:topic_id>",
    Scope.CLIENTS_WRITE,
    takes=ChoiceInput,
    gives=ChoiceSchema,
)
def choose_topic(values: dict[str, Any], client_id: int, topic_id: int) -> Any:
    """Record that a client joins or leaves a topic.

    If the client has left it, only the client can join again, through the link in a letter.
    """
    client = get_own(Client, client_id, to_change=True)
    check_if_match(SCHEMA, describe(find_state(client, topic_id)))
    choose_as_owner(current_access().owner_id, client.email_key, topic_id, values["is_joined"], utcnow())
    return describe(find_state(client, topic_id))


def read_states(client: Client) -> list[TopicState]:
    return list_states(client.owner_id, client.email_key)


def find_state(client: Client, topic_id: int) -> TopicState:
    """Return the client's choice about the owner's topic, or abort with 404."""
    return next((state for state in read_states(client) if state.topic.id == topic_id), None) or abort(404)


def describe(state: TopicState) -> dict[str, Any]:
    """Return a choice for the schema."""
    choice = state.choice
    return {
        "topic_id": state.topic.id,
        "name": state.topic.name,
        "is_received": state.is_received,
        "is_joined": choice.is_joined if choice else None,
        "is_by_owner": choice is not None and choice.is_by_owner,
        "is_locked": state.is_locked,
        "changed_at": choice.changed_at if choice else None,
    }
