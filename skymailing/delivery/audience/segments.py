"""Evaluate segments: parse their conditions, and check that all objects they refer to exist."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select

from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.conditions import Leaf, Node, list_leaves, read_conditions
from skymailing.delivery.audience.fields import InvalidConditions, Kind
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import db
from skymailing.models import Client, Mailing, Run, SignupForm, Tag, Topic, User

# For each kind of condition that refers to something by name: the owner column and the name column.
NAME_COLUMNS: dict[Kind, tuple[Any, Any]] = {
    Kind.TAG: (Tag.owner_id, Tag.name_key),
    Kind.TOPIC: (Topic.owner_id, Topic.name_key),
    Kind.FORM: (SignupForm.owner_id, SignupForm.uuid),
}


def compile_segment(conditions: Any, owner: User, now: datetime) -> ColumnElement[bool]:
    """Compile a segment's JSON into an SQL condition on clients; raises InvalidConditions.

    The condition does not filter by owner, so combine it with `Client.owner_id`.
    """
    viewpoint = Viewpoint.of(owner, now)
    return compile_conditions(read_segment(conditions, viewpoint), viewpoint)


def read_segment(conditions: Any, viewpoint: Viewpoint) -> Node:
    """Return the tree of a segment's conditions.

    Raises InvalidConditions, including when the segment refers to something that was deleted: without its
    tag, "does not have the tag wholesale" would hold for everyone.
    """
    node = read_conditions(conditions, viewpoint.formats.types)
    check_references(node, viewpoint)
    return node


def check_references(node: Node, viewpoint: Viewpoint) -> None:
    """Raise InvalidConditions if an object that the conditions refer to does not exist."""
    leaves = list(list_leaves(node))
    check_names(leaves, viewpoint)
    ids = {leaf.value for leaf in leaves if leaf.kind is Kind.MAILING and isinstance(leaf.value, int)}
    own_mailings = select(Mailing.id).where(Mailing.owner_id == viewpoint.owner_id, Mailing.id.in_(ids))
    known_mailings = set(viewpoint.session.scalars(own_mailings)) if ids else set()
    # Retention removed the letters of these mailings, so "did not receive" would hold for everyone.
    forgotten = select(Run.mailing_id).where(Run.mailing_id.in_(ids), Run.details_removed_at.is_not(None))
    forgotten_mailings = set(viewpoint.session.scalars(forgotten)) if ids else set()
    known_attributes = set(viewpoint.formats.types)
    for number, leaf in enumerate(leaves, start=1):
        key = leaf.attribute
        if leaf.kind is Kind.MAILING and isinstance(leaf.value, int) and leaf.value not in known_mailings:
            raise InvalidConditions("segment_mailing_missing", number=number)
        if leaf.kind is Kind.MAILING and isinstance(leaf.value, int) and leaf.value in forgotten_mailings:
            raise InvalidConditions("segment_mailing_forgotten", number=number)
        if key and key not in known_attributes:
            if not is_attribute_used(viewpoint, key):
                raise InvalidConditions("segment_attribute_missing", name=key, number=number)
            known_attributes.add(key)


def check_names(leaves: Sequence[Leaf], viewpoint: Viewpoint) -> None:
    """Raise InvalidConditions if one of the conditions names an object that the owner does not have."""
    for kind, (owner_id, name) in NAME_COLUMNS.items():
        named = {leaf.value.lower() for leaf in leaves if leaf.kind is kind}
        statement = select(name).where(owner_id == viewpoint.owner_id, name.in_(named))
        known = set(viewpoint.session.scalars(statement)) if named else set()
        for number, leaf in enumerate(leaves, start=1):
            if leaf.kind is kind and leaf.value.lower() not in known:
                raise InvalidConditions(f"segment_{kind}_missing", name=leaf.value, number=number)


def is_attribute_used(viewpoint: Viewpoint, key: str) -> bool:
    """Return whether any client has this attribute.

    This is slow if no client has it, so call it only for attributes without a type.
    """
    has_key = (
        func.jsonb_exists(Client.attributes, key)
        if db.engine.dialect.name == "postgresql"
        else func.json_type(Client.attributes, f'$."{key}"').is_not(None)
    )
    used = select(exists().where(Client.owner_id == viewpoint.owner_id, has_key))
    return bool(viewpoint.session.scalar(used))
