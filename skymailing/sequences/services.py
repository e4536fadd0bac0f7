"""Add, change, start, pause, archive and delete sequences. Every change locks the sequence."""

from datetime import datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import object_session

from skymailing import audit
from skymailing.audit import Actor
from skymailing.delivery import reputation
from skymailing.delivery.sequences.entering import list_steps, lock_sequence
from skymailing.delivery.sequences.occasions import today_of
from skymailing.errors import IllegalTransition
from skymailing.extensions import db
from skymailing.mailings.services import cancel_mailing, lock_mailing, move_mailing, resume_mailing
from skymailing.models import (
    SEQUENCE_TRANSITIONS,
    AuditAction,
    Enrolment,
    Mailing,
    MailingState,
    Run,
    Sequence,
    SequenceState,
    SequenceStep,
    StateReason,
    User,
)
from skymailing.quotas.checks import require_room, select_sequences
from skymailing.quotas.locking import lock_owner
from skymailing.sequences.steps import write_mailing
from skymailing.sequences.values import SequenceError, SequenceValues, is_complete, write_values
from skymailing.settings.quotas import quota_settings


def create_sequence(owner: User, values: SequenceValues, now: datetime) -> Sequence:
    """Add a draft without steps; raises SequenceError, InvalidConditions and LimitReached."""
    lock_owner(owner.id)
    require_room("sequence_limit", select_sequences(owner.id), quota_settings().sequences)
    sequence = Sequence(owner_id=owner.id, state=SequenceState.DRAFT, created_at=now, updated_at=now)
    write_values(sequence, values, owner, now)
    db.session.add(sequence)
    db.session.flush()
    return sequence


def lock(sequence: Sequence) -> None:
    """Lock a sequence and read it again; raises SequenceError if it has been deleted."""
    session = object_session(sequence)
    assert session is not None
    session.flush()
    if lock_sequence(session, sequence.id, is_waiting=True) is None:
        raise SequenceError("sequence_deleted")


def update_sequence(
    sequence: Sequence, values: SequenceValues, now: datetime, expected: int | None = None
) -> None:
    """Change a sequence; clients in it keep their place.

    Raises InvalidConditions and SequenceError, the latter also if the sequence's version is not `expected`.
    """
    require_changeable(sequence)
    if expected is not None and expected != sequence.version:
        raise SequenceError("sequence_changed")
    before = sequence.trigger, sequence.date_key, sequence.date_offset, sequence.is_yearly
    with db.session.no_autoflush:
        write_values(sequence, values, sequence.owner, now)
    if sequence.state is not SequenceState.DRAFT and not is_complete(sequence):
        raise SequenceError("sequence_trigger_missing", "trigger")
    if before != (sequence.trigger, sequence.date_key, sequence.date_offset, sequence.is_yearly):
        _begin_checks(sequence, now)
    sequence.version += 1
    db.session.flush()
    for step in list_steps(db.session(), sequence.id):
        lock_mailing(step.mailing)
        write_mailing(step, sequence)


def require_changeable(sequence: Sequence) -> None:
    """Lock a sequence; raises SequenceError if it is archived."""
    lock(sequence)
    if sequence.state is SequenceState.ARCHIVED:
        raise SequenceError("sequence_archived")


def start_sequence(sequence: Sequence, now: datetime, actor: Actor, *, sends_uncertain: bool = False) -> None:
    """Start a draft, or resume a paused sequence and those of its steps that were paused automatically.

    With `sends_uncertain`, letters that may have been sent before a backup was restored are sent, too. Raises
    SequenceError, and MailingError if a manager has stopped its letters.
    """
    require_changeable(sequence)
    if sends_uncertain:
        sequence.restored_at = None
    steps = list_steps(db.session(), sequence.id)
    if all(step.removed_at is not None for step in steps):
        raise SequenceError("sequence_no_steps")
    if not is_complete(sequence):
        raise SequenceError("sequence_trigger_missing", "trigger")
    if sequence.state is SequenceState.DRAFT:
        _begin_checks(sequence, now)
        reputation.restart(db.session.connection(), sequence.owner_id, now)
    if sequence.state is not SequenceState.ACTIVE:
        _move(sequence, SequenceState.ACTIVE)
    for step in steps:
        lock_mailing(step.mailing)
        step.mailing.on_late = sequence.on_late  # earlier versions did not copy it
        if step.mailing.state is MailingState.DRAFT:
            move_mailing(step.mailing, MailingState.RUNNING)
            step.mailing.state_reason = ""
        elif step.mailing.state is MailingState.PAUSED:
            resume_mailing(step.mailing, now, actor)


def _begin_checks(sequence: Sequence, now: datetime) -> None:
    """Let clients enter by dates from today on, and by a segment at once."""
    sequence.checked_at, sequence.checked_on = None, today_of(sequence, now)


def pause_sequence(sequence: Sequence) -> None:
    """Send no letters until the sequence is resumed; clients still enter. Raises SequenceError."""
    require_changeable(sequence)
    if sequence.state is SequenceState.PAUSED:
        return
    _move(sequence, SequenceState.PAUSED)
    for step in list_steps(db.session(), sequence.id):
        lock_mailing(step.mailing)
        if step.mailing.state is MailingState.RUNNING:
            move_mailing(step.mailing, MailingState.PAUSED)
            step.mailing.state_reason = ""


def archive_sequence(sequence: Sequence, now: datetime) -> None:
    """End a sequence for everyone and cancel its unsent letters; a worker ends the enrolments."""
    require_changeable(sequence)
    _move(sequence, SequenceState.ARCHIVED)
    sequence.updated_at = now
    for step in list_steps(db.session(), sequence.id):
        cancel_mailing(step.mailing, now)


def delete_sequence(sequence: Sequence, actor: Actor) -> None:
    """Delete a sequence that no client has entered; raises SequenceError."""
    lock(sequence)
    if not can_be_deleted(sequence):
        raise SequenceError("sequence_has_history")
    audit.record(AuditAction.SEQUENCE_DELETED, actor, sequence)
    mailing_ids = [step.mailing_id for step in list_steps(db.session(), sequence.id)]
    db.session.execute(delete(SequenceStep).where(SequenceStep.sequence_id == sequence.id))
    db.session.execute(delete(Mailing).where(Mailing.id.in_(mailing_ids)))
    db.session.execute(delete(Sequence).where(Sequence.id == sequence.id))


def can_be_deleted(sequence: Sequence) -> bool:
    """Return whether no client has entered and no letter was planned."""
    entered = exists().where(Enrolment.sequence_id == sequence.id)
    mailings = select(SequenceStep.mailing_id).where(SequenceStep.sequence_id == sequence.id)
    planned = exists().where(Run.mailing_id.in_(mailings))
    return not db.session.scalar(select(entered | planned))


def _move(sequence: Sequence, state: SequenceState) -> None:
    try:
        SEQUENCE_TRANSITIONS.move(sequence, state)
    except IllegalTransition as error:
        raise SequenceError("sequence_not_possible") from error
    sequence.version += 1


def list_all_steps(sequence: Sequence) -> list[SequenceStep]:
    """Return the steps, first to last, including removed ones."""
    return list_steps(db.session(), sequence.id)


def find_stopped(sequence: Sequence) -> list[Mailing]:
    """Return the mailings of steps that were stopped although the sequence is running.

    Mailings that wait for a decision after a restore are not included.
    """
    if sequence.state is not SequenceState.ACTIVE:
        return []
    mailings = [step.mailing for step in list_all_steps(sequence)]
    return [
        mailing
        for mailing in mailings
        if (mailing.state is MailingState.PAUSED or mailing.is_disabled) and not _is_restored(mailing)
    ]


def find_restored(sequence: Sequence) -> Mailing | None:
    """Return the mailing of a step whose owner has to decide after a restore, if there is one."""
    mailings = (step.mailing for step in list_all_steps(sequence))
    return next((mailing for mailing in mailings if _is_restored(mailing)), None)


def _is_restored(mailing: Mailing) -> bool:
    is_held = mailing.state in (MailingState.DRAFT, MailingState.PAUSED)
    return is_held and mailing.state_reason.startswith(StateReason.RESTORED)
