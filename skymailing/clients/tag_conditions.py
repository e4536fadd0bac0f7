"""Find and rename tags in the conditions of segments."""

from typing import Any

from sqlalchemy import select

from skymailing.clients.tags import tag_key
from skymailing.extensions import db
from skymailing.models import Segment, Tag


def list_segments(tag: Tag) -> list[str]:
    """Return the names of the owner's segments with a condition on the tag, sorted."""
    own = select(Segment.name, Segment.conditions).where(Segment.owner_id == tag.owner_id)
    rows = db.session.execute(own.order_by(Segment.name, Segment.id)).tuples()
    return [name for name, conditions in rows if has_condition(conditions, tag.name_key)]


def rename_in_segments(owner_id: int, old_key: str, name: str) -> None:
    """Write the new name of a tag into the conditions of the owner's segments."""
    own = select(Segment).where(Segment.owner_id == owner_id).order_by(Segment.id)
    for segment in db.session.scalars(own.with_for_update().execution_options(populate_existing=True)):
        changed = rename_in_conditions(segment.conditions, old_key, name)
        if changed != segment.conditions:
            segment.conditions = changed
            segment.version += 1


def has_condition(conditions: Any, key: str) -> bool:
    """Return whether a tag, given by its `tag_key`, appears in stored conditions."""
    # A tag's name is never empty, so the conditions change if it appears.
    return bool(rename_in_conditions(conditions, key, "") != conditions)


def rename_in_conditions(conditions: Any, old_key: str, name: str) -> Any:
    """Return stored conditions with the tag that has `old_key` renamed to `name`.

    Conditions that cannot be read stay as they are.
    """
    match conditions:
        case {"field": "tag", "value": str(value)} if tag_key(value) == old_key:
            return conditions | {"value": name}
        case {"all": list(nodes)}:
            return {"all": [rename_in_conditions(node, old_key, name) for node in nodes]}
        case {"any": list(nodes)}:
            return {"any": [rename_in_conditions(node, old_key, name) for node in nodes]}
        case {"not": node}:
            return {"not": rename_in_conditions(node, old_key, name)}
    return conditions
