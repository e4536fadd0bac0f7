"""Offer simple conditions as choices, and turn a choice into conditions in the form that segments use."""

from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from wtforms.fields import SelectChoice

from skymailing.delivery.audience.conditions import read_conditions
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.extensions import db
from skymailing.models import Segment, Tag, User
from skymailing.segments.queries import name_references
from skymailing.segments.sentences import Sentences, describe
from skymailing.sequences.queries import list_names
from skymailing.sequences.values import Conditions, SequenceError

KEEP = "keep"  # conditions that an owner or a program has set before


def list_condition_choices(
    owner: User, empty: str, current: Conditions | None
) -> dict[Any, list[SelectChoice]]:
    """Return the choices in groups: none, tags, and the conditions of segments."""
    choices = {"": [SelectChoice("", empty)]}
    if current:
        choices[""].append(SelectChoice(KEEP, _("the current conditions are met")))
    tags = list_names(Tag, owner.id)
    if tags:
        choices[_("Has the tag")] = [SelectChoice(f"tag:{id}", name) for id, name in tags]
        choices[_("Does not have the tag")] = [SelectChoice(f"no-tag:{id}", name) for id, name in tags]
    if segments := list_names(Segment, owner.id):
        choices[_("Meets the conditions of the segment")] = [
            SelectChoice(f"segment:{id}", name) for id, name in segments
        ]
    return choices


def read_choice(owner_id: int, choice: str, current: Conditions | None) -> Conditions | None:
    """Return the conditions of a choice; those of a segment are copied. Raises SequenceError."""
    kind, _colon, id = choice.partition(":")
    if kind == KEEP:
        return current
    if not kind:
        return None
    model: Any = Segment if kind == "segment" else Tag
    found = db.session.scalar(select(model).where(model.id == int(id), model.owner_id == owner_id))
    if found is None:
        raise SequenceError("sequence_target_missing")
    if kind == "segment":
        copied: Conditions = found.conditions
        return copied
    return {"field": "tag", "op": "is" if kind == "tag" else "is_not", "value": found.name}


def describe_conditions(conditions: Conditions | None, owner: User) -> Sentences | None:
    """Return conditions in words; None if there are none, or if they can no longer be read."""
    if not conditions:
        return None
    try:
        node = read_conditions(dict(conditions), ValueFormats.of(owner).types)
    except InvalidConditions:
        return None
    return describe(node, name_references(node, owner.id))
