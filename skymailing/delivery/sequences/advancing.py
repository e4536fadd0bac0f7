"""Process the clients whose step is due: they leave, or get its letter and go on to the next step.

A batch is one transaction that inserts the deliveries and moves the enrolments, so that neither happens
without the other, even if a worker dies.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists, false, literal_column, select, true, update
from sqlalchemy.orm import Session

from skymailing.db.engine import is_in
from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.memberships import gets_topic
from skymailing.delivery.audience.recipients import is_suppressed
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.delivery.composition.planning import NewBodies
from skymailing.delivery.lateness import find_late
from skymailing.delivery.run_events import report_paused
from skymailing.delivery.senders import find_problem
from skymailing.delivery.sequences.allowance import count_allowed
from skymailing.delivery.sequences.entering import BATCH, add_counts, list_steps, lock_sequence
from skymailing.delivery.sequences.late_letters import find_behind
from skymailing.delivery.sequences.letters import NewLetters, add_letters
from skymailing.delivery.sequences.timing import find_due, hours_of
from skymailing.events.enrolments import report_enrolments
from skymailing.extensions import db
from skymailing.models import (
    MAILING_TRANSITIONS,
    Client,
    Enrolment,
    EnrolmentState,
    EventType,
    LeaveReason,
    Mailing,
    MailingState,
    OnLate,
    Sequence,
    SequenceState,
    SequenceStep,
    StateReason,
    StepLetter,
)

# Literals instead of parameters, so that both databases use the partial indexes.
IS_ACTIVE = Enrolment.state == literal_column("'active'")
IS_PAUSED = Enrolment.state == literal_column("'paused'")


@dataclass
class Advanced:
    """The result of a batch: the number of clients, and the run to which letters were added, if any."""

    count: int = 0
    letters: int = 0
    run_id: int | None = None
    owner_id: int = 0


@dataclass(frozen=True)
class DueStep:
    """A locked sequence, a step for which clients are due, and the step after it."""

    sequence: Sequence
    step: SequenceStep
    following: SequenceStep | None


def advance(sequence_id: int, step_id: int, bodies: NewBodies, now: datetime) -> Advanced:
    """Process a batch of the clients who are due for a step. Safe to call at any time and concurrently."""
    with Session(db.engine) as session, session.begin():
        due = _lock(session, sequence_id, step_id)
        if due is None or not may_send(due, now):
            return Advanced()
        allowed = count_allowed(session, due.sequence.owner, due.step, now)
        if allowed <= 0:
            return Advanced()
        try:
            rows = _find_rows(session, due, allowed, now)
        except InvalidConditions:
            pause(due.step.mailing, StateReason.AUDIENCE_BROKEN, now)
            return Advanced()
        return _take(session, due, rows, bodies, now) if rows else Advanced()


def _lock(session: Session, sequence_id: int, step_id: int) -> DueStep | None:
    sequence = lock_sequence(session, sequence_id)
    if sequence is None or sequence.state is not SequenceState.ACTIVE or sequence.owner.is_blocked:
        return None
    step = session.get(SequenceStep, step_id)
    if step is None or step.sequence_id != sequence_id:
        return None
    return DueStep(sequence, step, _find_following(list_steps(session, sequence_id), step_id))


def _find_following(steps: Items[SequenceStep], step_id: int) -> SequenceStep | None:
    """Return the step after this one, without removed ones."""
    index = next((index for index, step in enumerate(steps) if step.id == step_id), len(steps))
    return next((step for step in steps[index + 1 :] if step.removed_at is None), None)


def find_following(
    session: Session, sequence: Sequence, step_id: int, now: datetime
) -> tuple[SequenceStep | None, datetime]:
    """Return the step after this one, and when it is due for clients who wait for it from now on."""
    following = _find_following(list_steps(session, sequence.id), step_id)
    zone = ZoneInfo(sequence.owner.timezone)
    return following, now if following is None else find_due(following, now, zone)


def may_send(due: DueStep, now: datetime) -> bool:
    """Return whether the step's letters may be planned; pause its mailing if the owner has to act first."""
    mailing = due.step.mailing
    if not hours_of(due.sequence).is_open(now):
        return False
    if due.step.removed_at is not None:
        return True
    if mailing.state is not MailingState.RUNNING or mailing.is_disabled:
        return False
    if mailing.sender is None:
        return True
    if problem := find_problem(mailing.sender):
        pause(mailing, f"{problem}: {mailing.sender.address}", now)
        return False
    return mailing.sender.server is None or not mailing.sender.server.is_being_tested


def pause(mailing: Mailing, reason: str, now: datetime) -> None:
    """Pause the mailing of a step that cannot be sent, until its owner resumes it."""
    if mailing.state is MailingState.RUNNING:
        MAILING_TRANSITIONS.move(mailing, MailingState.PAUSED)
        mailing.state_reason = reason
        report_paused(mailing, now)


def _find_rows(session: Session, due: DueStep, limit: int, now: datetime) -> Items[Any]:
    """Return up to `limit` due clients, with the conditions for each; raises InvalidConditions."""
    sequence, step = due.sequence, due.step
    unreachable = is_suppressed()
    if sequence.topic_id is not None:
        unreachable |= ~gets_topic(sequence.topic_id, Client.email_key)
    # A removed step has no letter to decide about, and no page on which conditions can be corrected.
    conditions = step.conditions if step.removed_at is None else None
    has_letter = exists().where(StepLetter.enrolment_id == Enrolment.id, StepLetter.step_id == step.id)
    statement = (
        select(Enrolment.id, Enrolment.entry, Enrolment.due_at)
        .add_columns(
            unreachable.label("is_unreachable"),
            compile_or(sequence.exit_conditions, sequence, now, false()).label("leaves"),
            compile_or(conditions, sequence, now, true()).label("fits"),
            has_letter.label("has_letter"),
        )
        .join(Client, Client.id == Enrolment.client_id)
        .where(Enrolment.step_id == step.id, IS_ACTIVE, Enrolment.due_at <= now)
        .order_by(Enrolment.due_at)
        .limit(limit)
    )
    return session.execute(statement).all()


def compile_or(
    conditions: dict[str, Any] | None, sequence: Sequence, now: datetime, default: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Return the SQL condition on clients, or `default` if there are none; raises InvalidConditions."""
    if not conditions:
        return default
    viewpoint = Viewpoint.of(sequence.owner, now)
    return compile_conditions(read_segment(conditions, viewpoint), viewpoint)


def _take(session: Session, due: DueStep, rows: Items[Any], bodies: NewBodies, now: datetime) -> Advanced:
    unreachable = [row.id for row in rows if row.is_unreachable]
    leaving = [row.id for row in rows if row.leaves and not row.is_unreachable]
    staying = [row for row in rows if not row.leaves and not row.is_unreachable]
    late = find_late(hours_of(due.sequence), now) if due.sequence.on_late is OnLate.SKIP else None
    before = due.sequence.restored_at
    chosen = [row for row in staying if row.fits and not row.has_letter and not is_late(row.due_at, late)]
    chosen = [row for row in chosen if not may_be_sent(row.due_at, before)]
    if due.step.removed_at is not None:
        chosen = []
    held = _hold_back(session, due, chosen, now)
    chosen, staying = ([row for row in part if row.id not in held] for part in (chosen, staying))
    result = Advanced(len(rows), len(chosen))
    if chosen:
        may_repeat = any(row.entry != 1 for row in chosen)
        letters = NewLetters(due.step, [row.id for row in chosen], may_repeat)
        result.owner_id = due.sequence.owner_id
        result.run_id = add_letters(session, letters, bodies, now)
    for since, ids in _group_by_start(staying, before, now).items():
        _go_on(session, due, ids, since, now)
    _leave(session, due.sequence, unreachable, LeaveReason.UNREACHABLE, now)
    _leave(session, due.sequence, leaving, LeaveReason.CONDITION, now)
    left = len(unreachable) + len(leaving)
    done = len(staying) if due.following is None else 0
    add_counts(session.connection(), due.sequence.id, left=left, done=done)
    counts = {"skipped": SequenceStep.skipped + len(staying) - len(chosen), "left": SequenceStep.left + left}
    statement = update(SequenceStep).where(SequenceStep.id == due.step.id).values(counts)
    session.connection().execute(statement)
    return result


def _hold_back(session: Session, due: DueStep, chosen: Items[Any], now: datetime) -> set[int]:
    """Delay late clients whose previous letter is being sent only now; return their enrolments.

    Otherwise they would get several letters at once, for example after a pause in which both became due.
    """
    limit = find_late(hours_of(due.sequence), now)
    late = [row for row in chosen if is_late(row.due_at, limit)]
    again = find_due(due.step, now, ZoneInfo(due.sequence.owner.timezone))
    if not late or again <= now:
        return set()
    behind = find_behind(session, due.step, [row.id for row in late], min(row.due_at for row in late))
    _update(session, behind, {"due_at": again})
    return set(behind)


def is_late(due_at: datetime, limit: datetime | None) -> bool:
    """Return whether a letter is too late to be sent."""
    return limit is not None and due_at < limit


def may_be_sent(due_at: datetime, restored_at: datetime | None) -> bool:
    """Return whether a letter may have been sent after the backup that was restored."""
    return restored_at is not None and due_at <= restored_at


def _group_by_start(
    rows: Items[Any], restored_at: datetime | None, now: datetime
) -> dict[datetime, list[int]]:
    """Group enrolments by when they begin to wait for the next step.

    They begin now, unless the letter may have been sent before a restore. Then they begin when it was due, so
    that letters that may have followed it are recognized, too.
    """
    groups: dict[datetime, list[int]] = {}
    for row in rows:
        since = row.due_at if may_be_sent(row.due_at, restored_at) else now
        groups.setdefault(since, []).append(row.id)
    return groups


def _go_on(session: Session, due: DueStep, ids: Items[int], since: datetime, now: datetime) -> None:
    """Let clients wait for the next step, or end their enrolments after the last one."""
    values: dict[str, Any] = {"state": EnrolmentState.DONE, "due_at": None, "ended_at": now}
    if due.following is not None:
        zone = ZoneInfo(due.sequence.owner.timezone)
        values = {"step_id": due.following.id, "due_at": find_due(due.following, since, zone)}
    _update(session, ids, values)
    if due.following is None:
        report_enrolments(session.connection(), EventType.SEQUENCE_FINISHED, due.sequence, ids, now)


def _leave(session: Session, sequence: Sequence, ids: Items[int], reason: LeaveReason, now: datetime) -> None:
    values = {"state": EnrolmentState.LEFT, "left_reason": reason, "due_at": None, "ended_at": now}
    _update(session, ids, values)
    report_enrolments(session.connection(), EventType.SEQUENCE_LEFT, sequence, ids, now, reason)


def _update(session: Session, ids: Items[int], values: dict[str, Any]) -> None:
    if ids:
        session.connection().execute(update(Enrolment).where(is_in(Enrolment.id, ids)).values(values))


def end_archived(sequence_id: int, now: datetime) -> int:
    """End a batch of the enrolments of an archived sequence, including paused ones; return how many."""
    with Session(db.engine) as session, session.begin():
        sequence = lock_sequence(session, sequence_id)
        if sequence is None or sequence.state is not SequenceState.ARCHIVED:
            return 0
        steps = [step.id for step in list_steps(session, sequence_id)]
        ids: list[int] = []
        for is_open in (IS_ACTIVE, IS_PAUSED):  # each has its own index
            waiting = select(Enrolment.id).where(Enrolment.step_id.in_(steps), is_open)
            ids += session.scalars(waiting.limit(BATCH - len(ids)))
        _leave(session, sequence, ids, LeaveReason.ARCHIVED, now)
        if ids:
            add_counts(session.connection(), sequence_id, left=len(ids))
        return len(ids)
