"""Find and rename tags and topics in the conditions of segments, which refer to them by name."""

from typing import Any, Literal

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Segment, Sequence, SequenceStep

# The fields of conditions whose value is a name. In lowercase, the name is the key of a tag or topic.
NamedField = Literal["tag", "topic"]


def list_segments(owner_id: int, field: NamedField, key: str) -> list[str]:
    """Return the names of the owner's segments with a condition on a tag or topic, sorted."""
    statement = select(Segment.name, Segment.conditions).where(Segment.owner_id == owner_id)
    rows = db.session.execute(statement.order_by(Segment.name, Segment.id)).tuples()
    return [name for name, conditions in rows if has_condition(conditions, field, key)]


def rename_in_segments(owner_id: int, field: NamedField, old_key: str, name: str) -> None:
    """Write the new name of a tag or topic into the conditions of the owner's segments and sequences."""
    statement = select(Segment).where(Segment.owner_id == owner_id).order_by(Segment.id)
    for segment in db.session.scalars(statement.with_for_update().execution_options(populate_existing=True)):
        changed = rename_in_conditions(segment.conditions, field, old_key, name)
        if changed != segment.conditions:
            segment.conditions = changed
            segment.version += 1
    _rename_in_sequences(owner_id, field, old_key, name)


def _rename_in_sequences(owner_id: int, field: NamedField, old_key: str, name: str) -> None:
    own = select(Sequence).where(Sequence.owner_id == owner_id).order_by(Sequence.id)
    locked = own.with_for_update(key_share=True).execution_options(populate_existing=True)
    sequences = db.session.scalars(locked).all()
    for sequence in sequences:
        changed = rename_in_conditions(sequence.exit_conditions, field, old_key, name)
        if changed != sequence.exit_conditions:
            sequence.exit_conditions = changed
            sequence.version += 1
    of_them = SequenceStep.sequence_id.in_([sequence.id for sequence in sequences])
    for step in db.session.scalars(select(SequenceStep).where(of_them).order_by(SequenceStep.id)):
        changed = rename_in_conditions(step.conditions, field, old_key, name)
        if changed != step.conditions:
            step.conditions = changed


def has_condition(conditions: Any, field: NamedField, key: str) -> bool:
    """Return whether a tag or topic, given by its key, appears in stored conditions."""
    # A name is never empty, so the conditions change if it appears.
    return bool(rename_in_conditions(conditions, field, key, "") != conditions)


def rename_in_conditions(conditions: Any, field: NamedField, old_key: str, name: str) -> Any:
    """Return stored conditions with the tag or topic that has `old_key` renamed to `name`.

    Conditions that cannot be read are returned unchanged.
    """
    match conditions:
        case {"field": str(found), "value": str(value)} if found == field and value.lower() == old_key:
            return conditions | {"value": name}
        case {"all": list(nodes)}:
            return {"all": [rename_in_conditions(node, field, old_key, name) for node in nodes]}
        case {"any": list(nodes)}:
            return {"any": [rename_in_conditions(node, field, old_key, name) for node in nodes]}
        case {"not": node}:
            return {"not": rename_in_conditions(node, field, old_key, name)}
    return conditions
