"""Add, change, archive and delete sequences."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from flask import url_for

from skymailing.api.condition_pointers import find_pointer
from skymailing.api.problems import InvalidField
from skymailing.api.schemas.sequence_changes import NewSequence, SequenceChange
from skymailing.api.schemas.sequences import SequenceSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_owner, require_scope
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.sequences import describe
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.models import Sequence, SequenceState, Trigger
from skymailing.security import get_own
from skymailing.senders.queries import find_default_sender
from skymailing.sequences import services
from skymailing.sequences.values import TARGETS, SequenceError, SequenceValues

bp = Resource("sequence_changes", "Set up sequences.")

SCHEMA = SequenceSchema()


@bp.operation("POST /sequences", Scope.MAILINGS_WRITE, takes=NewSequence, gives=SequenceSchema, status=201)
def create_sequence(values: dict[str, Any]) -> Any:
    """Add a sequence: a draft, to which steps are added before it is started."""
    owner = current_owner()
    sender = find_default_sender(owner.id)
    changed = read_changes(SequenceValues("", sender_id=sender.id if sender else None), values)
    with pointing_errors(values, "exit_conditions"):
        sequence = services.create_sequence(owner, changed, utcnow())
    location = url_for("api_sequences.get_sequence", sequence_id=sequence.id)
    return describe(sequence), 201, {"Location": location}


@bp.operation(
    "PATCH /sequences/<int:sequence_id>", Scope.MAILINGS_WRITE, takes=SequenceChange, gives=SequenceSchema
)
def update_sequence(values: dict[str, Any], sequence_id: int) -> Any:
    """Change some values of a sequence; clients who are in it remain at their step.

    Unless it is a draft, the key also needs the scope mailings:send.
    """
    sequence = find_to_change(sequence_id)
    check_if_match(SCHEMA, describe(sequence))
    names = [field.name for field in fields(SequenceValues)]
    saved = SequenceValues(**{name: getattr(sequence, name) for name in names})
    changed = read_changes(saved, values)
    with pointing_errors(values, "exit_conditions"):
        services.update_sequence(sequence, changed, utcnow())
    return describe(sequence)


@bp.operation("POST /sequences/<int:sequence_id>/archive", Scope.MAILINGS_WRITE, gives=SequenceSchema)
def archive_sequence(sequence_id: int) -> Any:
    """End a sequence for everyone; its unsent emails are cancelled."""
    sequence = get_own(Sequence, sequence_id)
    services.archive_sequence(sequence, utcnow())
    return describe(sequence)


@bp.operation("DELETE /sequences/<int:sequence_id>", Scope.MAILINGS_WRITE, status=204)
def delete_sequence(sequence_id: int) -> Any:
    """Delete a sequence that no client has entered."""
    sequence = get_own(Sequence, sequence_id)
    services.lock(sequence)
    check_if_match(SCHEMA, describe(sequence))
    services.delete_sequence(sequence, current_actor())
    return "", 204


def find_to_change(sequence_id: int) -> Sequence:
    """Return the owner's sequence, locked; without the scope to send, only drafts can be changed."""
    sequence = get_own(Sequence, sequence_id)
    services.require_changeable(sequence)
    if sequence.state is not SequenceState.DRAFT:
        require_scope(Scope.MAILINGS_SEND)
    return sequence


def read_changes(saved: SequenceValues, values: Mapping[str, Any]) -> SequenceValues:
    """Return the values with the given changes; raises InvalidField for a change that would be ignored."""
    changes = dict(values)
    if "weekdays" in changes:
        changes["weekdays"] = "".join(map(str, changes["weekdays"]))
    changed = replace(saved, **changes)
    for trigger, (name, _model) in TARGETS.items():
        refuse_unused(changed, values, trigger, name)
    refuse_unused(changed, values, Trigger.DATE, "date_key")
    return changed


def refuse_unused(changed: SequenceValues, given: Mapping[str, Any], trigger: Trigger, name: str) -> None:
    if given.get(name) and changed.trigger is not trigger:
        raise InvalidField(f"/{name}", SequenceError("sequence_other_trigger", trigger=trigger.value))


@contextmanager
def pointing_errors(values: Mapping[str, Any], conditions: str) -> Iterator[None]:
    """Add the pointer to the value at fault to errors of services; `conditions` is the conditions' field."""
    try:
        yield
    except InvalidConditions as error:
        place = find_pointer(values.get(conditions), error.values.get("number"))
        raise InvalidField(f"/{conditions}{place}", error) from error
    except SequenceError as error:
        if not error.field:
            raise
        raise InvalidField(f"/{error.field}", error) from error
