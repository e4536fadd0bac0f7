"""Read, add, change and remove the steps of sequences."""

from dataclasses import replace
from typing import Any

from flask import abort, url_for

from skymailing.api.problems import InvalidField
from skymailing.api.schemas.sequence_changes import NewStep, StepChange
from skymailing.api.schemas.sequences import StepSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.sequence_changes import find_to_change, pointing_errors
from skymailing.api.views.sequences import describe_steps
from skymailing.clock import utcnow
from skymailing.models import Sequence, SequenceStep
from skymailing.sequences import queries, steps
from skymailing.sequences.values import SequenceError, StepValues

bp = Resource("sequence_steps", "The emails of sequences, and how long clients wait for them.")

SCHEMA = StepSchema()


@bp.operation("GET /steps/<int:step_id>", Scope.MAILINGS_READ, gives=StepSchema)
def get_step(step_id: int) -> Any:
    """Get a step of a sequence with its statistics."""
    return describe(find_step(step_id))


@bp.operation(
    "POST /sequences/<int:sequence_id>/steps",
    Scope.MAILINGS_WRITE,
    takes=NewStep,
    gives=StepSchema,
    status=201,
)
def add_step(values: dict[str, Any], sequence_id: int) -> Any:
    """Add a step to a sequence. Clients who are past its place do not get it.

    If the sequence is not a draft, this also needs the scope mailings:send.
    """
    sequence = find_to_change(sequence_id)
    before = find_next(sequence, values.pop("before", None))
    with pointing_errors(values, "conditions"):
        step = steps.add_step(sequence, StepValues(**values), utcnow(), before)
    return describe(step), 201, {"Location": url_for("api_sequence_steps.get_step", step_id=step.id)}


@bp.operation("PATCH /steps/<int:step_id>", Scope.MAILINGS_WRITE, takes=StepChange, gives=StepSchema)
def update_step(values: dict[str, Any], step_id: int) -> Any:
    """Change some values of a step, or its place. Clients who are waiting for it keep their date.

    If the sequence is not a draft, this also needs the scope mailings:send.
    """
    step = find_locked(step_id)
    check_if_match(SCHEMA, describe(step))
    is_moved, before = "before" in values, find_next(step.sequence, values.pop("before", None))
    if values:
        saved = StepValues(step.mailing.message_id, step.wait, step.wait_unit, step.at_time, step.conditions)
        with pointing_errors(values, "conditions"):
            steps.change_step(step, replace(saved, **values), utcnow())
    if is_moved:
        steps.move_step(step, before)
    return describe(step)


@bp.operation("DELETE /steps/<int:step_id>", Scope.MAILINGS_WRITE, status=204)
def delete_step(step_id: int) -> Any:
    """Remove a step. Clients who are waiting for it continue without its email when the step is due.

    If the sequence is not a draft, this also needs the scope mailings:send.
    """
    step = find_locked(step_id)
    check_if_match(SCHEMA, describe(step))
    steps.remove_step(step, utcnow())
    return "", 204


def find_step(step_id: int) -> SequenceStep:
    """Return a step of the owner's sequences that has not been removed, or abort with 404."""
    return queries.find_step(current_access().owner_id, step_id) or abort(404)


def find_locked(step_id: int) -> SequenceStep:
    """Return a step whose sequence is locked and may be changed, or abort with 404."""
    find_to_change(find_step(step_id).sequence_id)
    return find_step(step_id)


def find_next(sequence: Sequence, step_id: int | None) -> SequenceStep | None:
    """Return the step before which to place another; raises InvalidField if it is not in the sequence."""
    if step_id is None:
        return None
    found = queries.find_step(sequence.owner_id, step_id)
    if found is None or found.sequence_id != sequence.id:
        raise InvalidField("/before", SequenceError("sequence_target_missing"))
    return found


def describe(step: SequenceStep) -> dict[str, Any]:
    return describe_steps(step.sequence, [step])[0]
