"""Let clients enter sequences, in the caller's transaction, which has locked the sequence."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Connection,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from skymailing.db.engine import is_in
from skymailing.delivery.audience.memberships import gets_topic
from skymailing.delivery.audience.recipients import is_suppressed
from skymailing.delivery.sequences.timing import find_due
from skymailing.events.enrolments import is_wanted, report_enrolments
from skymailing.models import (
    OPEN_ENROLMENT_STATES,
    Client,
    Enrolment,
    EnrolmentState,
    EventType,
    Sequence,
    SequenceSignal,
    SequenceState,
    SequenceStep,
    Trigger,
)

BATCH = 10_000
FIRST_YEAR = 1_000  # entries from here on are years or days, never counted
ENTERED = EventType.SEQUENCE_ENTERED
# Clients also enter while a sequence is paused; they wait for its letters.
ENTERED_STATES = (SequenceState.ACTIVE, SequenceState.PAUSED)


@dataclass(frozen=True)
class Entry:
    """An occasion on which clients enter: when their wait begins, and the number of the occasion, if any.

    An owner or a program that adds clients (`is_by_hand`) may also add those who could not enter again
    otherwise.
    """

    since: datetime
    number: int | None = None
    is_by_hand: bool = False


def signal_confirmation(connection: Connection, form_id: int, client_id: int) -> None:
    """Record that a client has confirmed a form, for the sequences that begin with it."""
    begins = (Sequence.form_id == form_id) & (Sequence.trigger == Trigger.FORM)
    chosen = select(Sequence.id, literal(client_id)).where(begins, Sequence.state.in_(ENTERED_STATES))
    connection.execute(insert(SequenceSignal).from_select(["sequence_id", "client_id"], chosen))


def lock_sequence(session: Session, sequence_id: int, *, is_waiting: bool = False) -> Sequence | None:
    """Lock a sequence and return it; None if it does not exist or, unless `is_waiting`, is locked.

    Every change to its enrolments begins with this, except for the deletion of clients.
    """
    locked = select(Sequence).where(Sequence.id == sequence_id)
    locked = locked.with_for_update(of=Sequence, key_share=True, skip_locked=not is_waiting)
    return session.scalar(locked.execution_options(populate_existing=True))


def list_steps(session: Session, sequence_id: int) -> list[SequenceStep]:
    """Return the steps, first to last, including removed ones."""
    of_sequence = select(SequenceStep).where(SequenceStep.sequence_id == sequence_id)
    ordered = of_sequence.order_by(SequenceStep.position, SequenceStep.id)
    return list(session.scalars(ordered.execution_options(populate_existing=True)))


def enter(session: Session, sequence: Sequence, ids: Items[int], entry: Entry, now: datetime) -> int:
    """Let the clients who may enter do so; return how many."""
    first = next((step for step in list_steps(session, sequence.id) if step.removed_at is None), None)
    if first is None or not ids:
        return 0
    due_at = find_due(first, entry.since, ZoneInfo(sequence.owner.timezone))
    values = {
        "sequence_id": literal(sequence.id),
        "client_id": Client.id,
        "entry": _number_entry(sequence, entry),
        "step_id": literal(first.id),
        "state": literal(EnrolmentState.ACTIVE.value),
        "due_at": literal(due_at, Enrolment.__table__.c.due_at.type),
        "entered_at": literal(now, Enrolment.__table__.c.entered_at.type),
    }
    clients = select(*values.values()).where(
        Client.owner_id == sequence.owner_id, is_in(Client.id, ids), may_enter(sequence, entry, now)
    )
    statement = insert(Enrolment).from_select(
        list(values), clients.order_by(Client.id), include_defaults=False
    )
    connection = session.connection()
    last = _find_newest(connection, sequence) if is_wanted(connection, sequence, ENTERED) else None
    count = connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    if count:
        add_counts(connection, sequence.id, entered=count)
        if last is not None:
            added = (Enrolment.sequence_id == sequence.id) & (Enrolment.id > last)
            new = connection.scalars(select(Enrolment.id).where(added).order_by(Enrolment.id)).all()
            report_enrolments(connection, ENTERED, sequence, new, now)
    return count


def _find_newest(connection: Connection, sequence: Sequence) -> int:
    newest = select(func.max(Enrolment.id)).where(Enrolment.sequence_id == sequence.id)
    return connection.scalar(newest) or 0


def may_enter(sequence: Sequence, entry: Entry, now: datetime) -> ColumnElement[bool]:
    """Return the condition for clients who may enter: reachable, not in the sequence, not too soon again."""
    is_same = (Enrolment.client_id == Client.id) & (Enrolment.sequence_id == sequence.id)
    blocks: list[ColumnElement[bool]] = [Enrolment.state.in_(OPEN_ENROLMENT_STATES)]
    if entry.number is not None:
        blocks.append(Enrolment.entry == entry.number)
    if not entry.is_by_hand:
        blocks += _too_soon(sequence, now)
    is_blocked = exists().where(is_same, or_(*blocks)).correlate(Client)
    may_enter = ~is_blocked & ~is_suppressed()
    if sequence.topic_id is not None:
        may_enter &= gets_topic(sequence.topic_id, Client.email_key)
    return may_enter


def _too_soon(sequence: Sequence, now: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions under which an earlier enrolment keeps a client from entering again."""
    if sequence.trigger is Trigger.DATE and sequence.is_yearly:
        return []  # each anniversary is a separate occasion
    if sequence.reenter_days is None:
        return [Enrolment.id.is_not(None)]
    return [Enrolment.entered_at > now - timedelta(days=sequence.reenter_days)]


def _number_entry(sequence: Sequence, entry: Entry) -> ColumnElement[int]:
    if entry.number is not None:
        return literal(entry.number)
    is_same = (Enrolment.client_id == Client.id) & (Enrolment.sequence_id == sequence.id)
    lowest = select(func.min(Enrolment.entry)).where(is_same, Enrolment.entry < 0).correlate(Client)
    downwards = func.coalesce(lowest.scalar_subquery(), 0) - 1
    if sequence.trigger is Trigger.DATE:  # positive numbers are years or days
        return downwards
    # Earlier entries may be years or days, if the trigger was a date before, and it may be one again.
    highest = select(func.max(Enrolment.entry)).where(is_same).correlate(Client)
    upwards = func.coalesce(highest.scalar_subquery(), 0) + 1
    return case((upwards < FIRST_YEAR, upwards), else_=downwards)


def enter_by_signals(session: Session, sequence: Sequence, now: datetime) -> int:
    """Let the clients with a signal enter; return how many signals were handled."""
    signals = select(SequenceSignal.id, SequenceSignal.client_id)
    signals = (
        signals.where(SequenceSignal.sequence_id == sequence.id).order_by(SequenceSignal.id).limit(BATCH)
    )
    rows = session.execute(signals).tuples().all()
    if not rows:
        return 0
    enter(session, sequence, sorted({client_id for _, client_id in rows}), Entry(now), now)
    session.execute(
        delete(SequenceSignal).where(is_in(SequenceSignal.id, [id for id, _ in rows])),
        execution_options={"synchronize_session": False},
    )
    return len(rows)


def add_counts(connection: Connection, sequence_id: int, **counts: int) -> None:
    """Add to the counts of a sequence, without marking it as changed by its owner."""
    values = {name: Sequence.__table__.c[name] + count for name, count in counts.items()}
    statement = update(Sequence).where(Sequence.id == sequence_id)
    connection.execute(statement.values(values | {"updated_at": Sequence.updated_at}))
