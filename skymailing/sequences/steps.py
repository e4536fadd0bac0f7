"""Add, change, move and remove the steps of sequences.

Clients who are waiting for a step keep their due date; the step's new letter and conditions apply to them.
"""

from collections.abc import Sequence as Items
from datetime import UTC, datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import object_session

from skymailing.delivery.sequences.entering import list_steps
from skymailing.delivery.sequences.sweep import has_waiting
from skymailing.extensions import db
from skymailing.mailings.services import lock_mailing
from skymailing.models import (
    Audience,
    Enrolment,
    Mailing,
    MailingKind,
    MailingState,
    Run,
    Sequence,
    SequenceState,
    SequenceStep,
)
from skymailing.models.sequence import MAX_STEPS
from skymailing.sequences.values import SequenceError, StepValues, check_step, clean_conditions

NEVER = datetime(2999, 1, 1, tzinfo=UTC)
NAME_LENGTH = 200
STATES = {
    SequenceState.DRAFT: MailingState.DRAFT,
    SequenceState.ACTIVE: MailingState.RUNNING,
    SequenceState.PAUSED: MailingState.PAUSED,
}


def list_current(sequence: Sequence) -> list[SequenceStep]:
    """Return the steps of a sequence that have not been removed."""
    return [step for step in list_steps(db.session(), sequence.id) if step.removed_at is None]


def add_step(
    sequence: Sequence, values: StepValues, now: datetime, before: SequenceStep | None = None
) -> SequenceStep:
    """Add a step to a locked sequence, at the end or before another one.

    Clients who are past its position do not get it. Raises SequenceError and InvalidConditions.
    """
    check_step(values, sequence.owner)
    steps = list_steps(db.session(), sequence.id)
    if sum(step.removed_at is None for step in steps) >= MAX_STEPS:
        raise SequenceError("sequence_step_limit", limit=MAX_STEPS)
    mailing = Mailing(
        owner_id=sequence.owner_id,
        kind=MailingKind.SEQUENCE.value,
        state=STATES[sequence.state],
        audience=Audience.SELECTED,
        starts_at=now,
        ends_at=NEVER,
        name=sequence.name,
        message_id=values.message_id,
    )
    db.session.add(mailing)
    db.session.flush()
    step = SequenceStep(sequence_id=sequence.id, mailing_id=mailing.id, position=len(steps))
    step.mailing = mailing
    _write(step, sequence, values, now)
    db.session.add(step)
    if before is not None and before not in steps:  # removed by another tab while this one waited
        raise SequenceError("sequence_step_removed")
    index = steps.index(before) if before is not None else len(steps)
    _number(sequence, [*steps[:index], step, *steps[index:]])
    return step


def change_step(step: SequenceStep, values: StepValues, now: datetime, expected: int | None = None) -> None:
    """Change a step of a locked sequence.

    Raises InvalidConditions and SequenceError, the latter also if the step's version is not `expected`.
    """
    sequence = step.sequence
    _require_current(step)
    if expected is not None and expected != step.version:
        raise SequenceError("sequence_step_changed")
    check_step(values, sequence.owner)
    lock_mailing(step.mailing)
    _write(step, sequence, values, now)
    step.version += 1
    sequence.version += 1
    db.session.flush()


def move_step_up(step: SequenceStep) -> None:
    """Move a step of a locked sequence up by one; clients waiting for it continue from its new position."""
    _require_current(step)
    steps = list_steps(db.session(), step.sequence_id)
    index = steps.index(step)
    above = next((n for n in range(index - 1, -1, -1) if steps[n].removed_at is None), None)
    if above is not None:
        steps.insert(above, steps.pop(index))
    _number(step.sequence, steps)


def move_step(step: SequenceStep, before: SequenceStep | None) -> None:
    """Move a step of a locked sequence before another one, or to the end."""
    _require_current(step)
    if step is before:
        return
    steps = [each for each in list_steps(db.session(), step.sequence_id) if each is not step]
    index = len(steps) if before is None else steps.index(before)
    _number(step.sequence, [*steps[:index], step, *steps[index:]])


def remove_step(step: SequenceStep, now: datetime) -> None:
    """Remove a step of a locked sequence.

    Clients who are waiting for it go on to the next step when it is due, without its letter. Raises
    SequenceError if it is the last step of a sequence that has started.
    """
    sequence = step.sequence
    if step not in list_current(sequence):
        return
    if sequence.state is not SequenceState.DRAFT and len(list_current(sequence)) == 1:
        raise SequenceError("sequence_last_step")
    waits = select(has_waiting()).where(SequenceStep.id == step.id)
    is_used = exists().where(Run.mailing_id == step.mailing_id)
    has_enrolment = exists().where(Enrolment.step_id == step.id)
    if db.session.scalar(waits) or db.session.scalar(select(is_used | has_enrolment)):
        step.removed_at = now
    else:
        mailing_id = step.mailing_id
        db.session.delete(step)
        db.session.flush()
        db.session.execute(delete(Mailing).where(Mailing.id == mailing_id))
    _number(sequence, list_steps(db.session(), sequence.id))


def _require_current(step: SequenceStep) -> None:
    """Read a step of a locked sequence again; raises SequenceError if it has been removed."""
    if step not in list_current(step.sequence):
        raise SequenceError("sequence_step_removed")


def _write(step: SequenceStep, sequence: Sequence, values: StepValues, now: datetime) -> None:
    step.wait, step.wait_unit, step.at_time = values.wait, values.wait_unit, values.at_time
    step.conditions = clean_conditions(values.conditions, sequence.owner, now)
    step.mailing.message_id = values.message_id
    write_mailing(step, sequence)


def write_mailing(step: SequenceStep, sequence: Sequence) -> None:
    """Copy the settings for a step's letters from its sequence to the step's mailing."""
    mailing = step.mailing
    mailing.sender_id, mailing.topic_id = sequence.sender_id, sequence.topic_id
    mailing.track_clicks = sequence.track_clicks
    mailing.weekdays, mailing.opens_at = sequence.weekdays, sequence.opens_at
    mailing.closes_at, mailing.on_late = sequence.closes_at, sequence.on_late
    mailing.name = name_mailing(sequence, step.position + 1)


def name_mailing(sequence: Sequence, number: int) -> str:
    """Return the name under which logs and reports list the letters of a step."""
    suffix = f": {number}"
    return sequence.name[: NAME_LENGTH - len(suffix)] + suffix


def _number(sequence: Sequence, steps: Items[SequenceStep]) -> None:
    number = 0
    for position, step in enumerate(steps):
        step.position = position
        number += step.removed_at is None
        step.mailing.name = name_mailing(sequence, number)
    sequence.version += 1
    session = object_session(sequence)
    assert session is not None
    session.flush()
