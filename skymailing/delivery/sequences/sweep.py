"""Find the sequences that have work to do now, and do it in small parts."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, exists, literal, or_, select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.composition.planning import NewBodies, compose_again
from skymailing.delivery.sequences.advancing import IS_ACTIVE, IS_PAUSED, advance, end_archived
from skymailing.delivery.sequences.entering import ENTERED_STATES, enter_by_signals, lock_sequence
from skymailing.delivery.sequences.occasions import enter_by_occasion, is_check_due
from skymailing.extensions import db
from skymailing.models import (
    Enrolment,
    Mailing,
    MailingState,
    Sequence,
    SequenceSignal,
    SequenceState,
    SequenceStep,
    Trigger,
    User,
)
from skymailing.quotas import letters

logger = logging.getLogger(__name__)
StopCheck = Callable[[float], bool]  # whether to stop after this many seconds


@dataclass
class Swept:
    """The work that was done: the letters by owner and run, and whether work is left."""

    letters: dict[tuple[int, int], int] = field(default_factory=dict)
    has_more: bool = False


def has_work(now: datetime) -> bool:
    """Return whether any sequence has work to do now."""
    with Session(reading_engine()) as session:
        return any(True for _part in _list_parts(session, now))


def run_due(now: datetime, should_stop: StopCheck = lambda _elapsed: False) -> Swept:
    """Let clients enter and process those who are due, one batch per sequence at a time."""
    swept, start = Swept(), time.monotonic()
    bodies: dict[int, NewBodies] = {}
    idle: set[tuple[Any, ...]] = set()
    while True:
        with Session(reading_engine()) as session:
            parts = [part for part in _list_parts(session, now) if part not in idle]
        if not parts:
            return swept
        for part in parts:
            if should_stop(time.monotonic() - start):
                swept.has_more = True
                return swept
            if not _try(part, bodies, swept, now):
                idle.add(part)  # locked by another worker, or its letters have to wait


def _try(part: tuple[Any, ...], bodies: dict[int, NewBodies], swept: Swept, now: datetime) -> int:
    """Do one part; a defect in one owner's sequence must not delay the others."""
    try:
        return _do(part, bodies, swept, now)
    except Exception:  # a bug in our code: the log has the traceback, and the next sweep tries again
        logger.exception("The part %s of a sequence failed", part)
        return 0


def _do(part: tuple[Any, ...], bodies: dict[int, NewBodies], swept: Swept, now: datetime) -> int:
    """Do one part for one batch of clients; return how many were handled."""
    match part:
        case ("signals", sequence_id):
            with Session(db.engine) as session, session.begin():
                sequence = lock_sequence(session, sequence_id)
                return 0 if sequence is None else enter_by_signals(session, sequence, now)
        case ("check", sequence_id):
            enter_by_occasion(sequence_id, now)
            return 0
        case ("archived", sequence_id):
            return end_archived(sequence_id, now)
        case ("due", sequence_id, step_id, mailing_id):
            if mailing_id not in bodies:
                bodies[mailing_id] = compose_again(mailing_id)
            done = advance(sequence_id, step_id, bodies[mailing_id], now)
            if done.run_id is not None:
                run = done.owner_id, done.run_id
                swept.letters[run] = swept.letters.get(run, 0) + done.letters
            return done.count
    raise ValueError(part)


def _list_parts(session: Session, now: datetime) -> Iterator[tuple[Any, ...]]:
    is_entered = Sequence.state.in_(ENTERED_STATES)
    signalled = select(Sequence.id).where(
        is_entered, exists().where(SequenceSignal.sequence_id == Sequence.id)
    )
    for sequence_id in session.scalars(signalled.order_by(Sequence.id)):
        yield "signals", sequence_id
    checked = select(Sequence).join(User, User.id == Sequence.owner_id).where(is_entered)
    checked = checked.where(Sequence.trigger.in_((Trigger.DATE, Trigger.SEGMENT)), User.blocked_at.is_(None))
    for sequence in session.scalars(checked.order_by(Sequence.id)):
        if is_check_due(sequence, now):
            yield "check", sequence.id
    for row in session.execute(select_due_steps(now)):
        if SendingHours(row.weekdays, row.opens_at, row.closes_at, ZoneInfo(row.timezone)).is_open(now):
            yield "due", row.sequence_id, row.id, row.mailing_id
    archived = select(SequenceStep.sequence_id).join(Sequence, Sequence.id == SequenceStep.sequence_id)
    archived = archived.where(Sequence.state == SequenceState.ARCHIVED, has_open())
    for sequence_id in session.scalars(archived.distinct()):
        yield "archived", sequence_id


def select_due_steps(now: datetime) -> Select[Any]:
    """Select the steps for which clients are due, and whose letters may be sent."""
    hours = (Sequence.weekdays, Sequence.opens_at, Sequence.closes_at, User.timezone)
    may_send = (Mailing.state == MailingState.RUNNING) & Mailing.disabled_at.is_(None)
    return (
        select(SequenceStep.id, SequenceStep.sequence_id, SequenceStep.mailing_id, *hours)
        .join(Sequence, Sequence.id == SequenceStep.sequence_id)
        .join(User, User.id == Sequence.owner_id)
        .join(Mailing, Mailing.id == SequenceStep.mailing_id)
        .where(Sequence.state == SequenceState.ACTIVE, User.blocked_at.is_(None))
        .where(letters.has_room(now))
        .where(or_(may_send, SequenceStep.removed_at.is_not(None)), has_waiting(Enrolment.due_at <= now))
        .order_by(SequenceStep.sequence_id, SequenceStep.position)
    )


def has_waiting(*conditions: Any) -> Any:
    """Return the condition that clients are waiting for the step, found through the partial index."""
    # Ordered like the index: otherwise PostgreSQL would read the table, because most rows seem to match.
    return _exists(_find(IS_ACTIVE, *conditions).order_by(Enrolment.step_id, Enrolment.due_at))


def has_open() -> Any:
    """Return the condition that clients are waiting for the step, including those paused by the owner."""
    return or_(has_waiting(), _exists(_find(IS_PAUSED)))


def _find(*conditions: Any) -> Select[Any]:
    return select(literal(1)).where(Enrolment.step_id == SequenceStep.id, *conditions)


def _exists(found: Select[Any]) -> Any:
    return found.limit(1).correlate(SequenceStep).scalar_subquery().is_not(None)
