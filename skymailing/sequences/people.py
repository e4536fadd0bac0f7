"""Add clients to sequences, and pause, skip or end the sequence for a client.

The sequence is locked first.
"""

from collections.abc import Sequence as Items
from datetime import datetime

from sqlalchemy import select

from skymailing.delivery.sequences.advancing import find_following
from skymailing.delivery.sequences.entering import Entry, add_counts, enter
from skymailing.events.enrolments import report_enrolments
from skymailing.extensions import db
from skymailing.models import (
    OPEN_ENROLMENT_STATES,
    Client,
    Enrolment,
    EnrolmentState,
    EventType,
    LeaveReason,
    Sequence,
    SequenceState,
    SequenceStep,
)
from skymailing.sequences.services import lock
from skymailing.sequences.values import SequenceError


def add_client(sequence: Sequence, client: Client, now: datetime, *, may_repeat: bool = False) -> Enrolment:
    """Let a client enter; raises SequenceError if the client may not.

    With `may_repeat`, a client who has finished or left always enters again.
    """
    _require_started(sequence)
    last = find_last(sequence.id, client.id)
    if last is not None and last.state in OPEN_ENROLMENT_STATES:
        raise SequenceError("sequence_on_the_way")
    if not enter(db.session(), sequence, [client.id], Entry(now, is_by_hand=may_repeat), now):
        is_again = last is not None and not may_repeat
        raise SequenceError("sequence_entered_before" if is_again else "sequence_unreachable")
    db.session.refresh(sequence)
    added = find_last(sequence.id, client.id)
    assert added is not None
    return added


def restart_client(enrolment: Enrolment, now: datetime) -> None:
    """Let the client of an enrolment enter again; raises SequenceError if the client may not."""
    sequence = db.session.get_one(Sequence, enrolment.sequence_id)
    add_client(sequence, db.session.get_one(Client, enrolment.client_id), now, may_repeat=True)


def add_clients(sequence: Sequence, client_ids: Items[int], now: datetime) -> int:
    """Let the clients who may enter do so; return how many. Raises SequenceError."""
    _require_started(sequence)
    return enter(db.session(), sequence, client_ids, Entry(now), now)


def _require_started(sequence: Sequence) -> None:
    lock(sequence)
    if sequence.state not in (SequenceState.ACTIVE, SequenceState.PAUSED):
        raise SequenceError("sequence_not_started")


def find_last(sequence_id: int, client_id: int) -> Enrolment | None:
    """Return a client's last enrolment in a sequence."""
    own = select(Enrolment).where(Enrolment.client_id == client_id, Enrolment.sequence_id == sequence_id)
    newest = own.order_by(Enrolment.id.desc()).limit(1)
    return db.session.scalar(newest.execution_options(populate_existing=True))


def _lock(enrolment: Enrolment, *states: EnrolmentState) -> Sequence:
    """Lock the sequence of an enrolment and read both again; raises SequenceError in other states."""
    sequence = db.session.get_one(Sequence, enrolment.sequence_id)
    lock(sequence)
    db.session.refresh(enrolment)
    if enrolment.state not in states:
        raise SequenceError("sequence_not_on_the_way")
    return sequence


def pause_client(enrolment: Enrolment) -> None:
    """Send a client no letters of the sequence until it is resumed for this client."""
    _lock(enrolment, *OPEN_ENROLMENT_STATES)
    enrolment.state = EnrolmentState.PAUSED


def resume_client(enrolment: Enrolment) -> None:
    """Continue where a client stopped; a letter that is due is sent at once, or skipped if it is late."""
    _lock(enrolment, *OPEN_ENROLMENT_STATES)
    enrolment.state = EnrolmentState.ACTIVE


def skip_wait(enrolment: Enrolment, now: datetime) -> None:
    """Send a client the next letter now."""
    _lock(enrolment, *OPEN_ENROLMENT_STATES)
    enrolment.state, enrolment.due_at = EnrolmentState.ACTIVE, now


def skip_step(enrolment: Enrolment, now: datetime) -> None:
    """Let a client go on to the step after the next letter, or end if there is none."""
    sequence = _lock(enrolment, *OPEN_ENROLMENT_STATES)
    following, due_at = find_following(db.session(), sequence, enrolment.step_id, now)
    step = db.session.get(SequenceStep, enrolment.step_id)
    if step is not None:
        step.skipped += 1
    if following is None:
        enrolment.state, enrolment.due_at, enrolment.ended_at = EnrolmentState.DONE, None, now
        add_counts(db.session.connection(), sequence.id, done=1)
        _report(EventType.SEQUENCE_FINISHED, sequence, enrolment, now)
    else:
        enrolment.step_id, enrolment.due_at = following.id, due_at
    db.session.flush()


def remove_client(enrolment: Enrolment, now: datetime) -> None:
    """Remove a client from the sequence."""
    sequence = _lock(enrolment, *OPEN_ENROLMENT_STATES)
    enrolment.state, enrolment.left_reason = EnrolmentState.LEFT, LeaveReason.REMOVED
    enrolment.due_at, enrolment.ended_at = None, now
    add_counts(db.session.connection(), sequence.id, left=1)
    _report(EventType.SEQUENCE_LEFT, sequence, enrolment, now, LeaveReason.REMOVED)
    db.session.flush()


def _report(
    type_: EventType,
    sequence: Sequence,
    enrolment: Enrolment,
    now: datetime,
    reason: LeaveReason | None = None,
) -> None:
    report_enrolments(db.session.connection(), type_, sequence, [enrolment.id], now, reason)
