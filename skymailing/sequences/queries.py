"""Read sequences, their counts, and the enrolments of clients."""

from collections.abc import Collection
from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from skymailing.db.pagination import Order
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.sequences.advancing import IS_ACTIVE, IS_PAUSED
from skymailing.extensions import db
from skymailing.models import (
    AttributeType,
    Client,
    Enrolment,
    EnrolmentState,
    Message,
    Run,
    RunInterval,
    Sequence,
    SequenceState,
    SequenceStep,
    User,
)
from skymailing.segments.queries import list_attributes

PER_PAGE = 50
CLIENTS_READ = 200  # to detect which fields contain dates
ORDER: Order = [(Enrolment.id, True)]


@dataclass(frozen=True, slots=True)
class StepCounts:
    """The counts of a step so far, and the number of clients waiting for it."""

    waiting: int = 0
    next_due_at: datetime | None = None
    planned: int = 0
    sent: int = 0
    clicked: int = 0
    skipped: int = 0
    left: int = 0


def list_sequences(owner_id: int, *, archived: bool = False) -> Items[Sequence]:
    """Return the owner's sequences, newest first: either the archived ones or all others."""
    is_archived = Sequence.state == SequenceState.ARCHIVED
    own = select(Sequence).where(Sequence.owner_id == owner_id, is_archived if archived else ~is_archived)
    return db.session.scalars(own.order_by(Sequence.id.desc())).all()


def select_sequences(owner_id: int) -> Select[tuple[Sequence]]:
    """Select the owner's sequences, including archived ones."""
    return select(Sequence).where(Sequence.owner_id == owner_id)


def find_sequence(owner_id: int, sequence_id: int) -> Sequence | None:
    """Return the owner's sequence."""
    return db.session.scalar(select_sequences(owner_id).where(Sequence.id == sequence_id))


def find_step(owner_id: int, step_id: int) -> SequenceStep | None:
    """Return a step of the owner's sequences that has not been removed."""
    own = select(SequenceStep).join(Sequence, Sequence.id == SequenceStep.sequence_id)
    is_wanted = (SequenceStep.id == step_id) & SequenceStep.removed_at.is_(None)
    return db.session.scalar(own.where(is_wanted, Sequence.owner_id == owner_id))


def select_enrolments(sequence_id: int, state: EnrolmentState | None) -> Select[tuple[Enrolment]]:
    """Select the enrolments of a sequence, for programs."""
    own = select(Enrolment).where(Enrolment.sequence_id == sequence_id)
    return own if state is None else own.where(Enrolment.state == state)


def find_enrolment(owner_id: int, enrolment_id: int) -> Enrolment | None:
    """Return an enrolment in one of the owner's sequences."""
    own = select(Enrolment).join(Sequence, Sequence.id == Enrolment.sequence_id)
    return db.session.scalar(own.where(Enrolment.id == enrolment_id, Sequence.owner_id == owner_id))


def count_waiting(sequence_ids: Collection[int]) -> dict[int, int]:
    """Return how many clients are in each sequence now, including paused clients."""
    return {id: sum(found.values()) for id, found in _count_open(sequence_ids).items()}


def _count_open(sequence_ids: Collection[int]) -> dict[int, dict[int, int]]:
    """Return how many clients wait for each step, by sequence and step; reads two indexes."""
    counts: dict[int, dict[int, int]] = {id: {} for id in sequence_ids}
    steps = select(SequenceStep.id, SequenceStep.sequence_id).where(
        SequenceStep.sequence_id.in_(sequence_ids)
    )
    by_step = dict(db.session.execute(steps).tuples().all())
    for is_state in (IS_ACTIVE, IS_PAUSED):
        rows = select(Enrolment.step_id, func.count()).where(Enrolment.step_id.in_(by_step), is_state)
        for step_id, count in db.session.execute(rows.group_by(Enrolment.step_id)).tuples():
            of_sequence = counts[by_step[step_id]]
            of_sequence[step_id] = of_sequence.get(step_id, 0) + count
    return counts


def count_steps(sequence: Sequence, steps: Items[SequenceStep]) -> dict[int, StepCounts]:
    """Return each step's counts by its ID."""
    waiting = _count_open([sequence.id]).get(sequence.id, {})
    mailings = [step.mailing_id for step in steps]
    sums = (func.sum(RunInterval.planned), func.sum(RunInterval.sent))
    counted = select(RunInterval.mailing_id, *sums).where(RunInterval.mailing_id.in_(mailings))
    letters = {row[0]: row[1:] for row in db.session.execute(counted.group_by(RunInterval.mailing_id))}
    clicks = select(Run.mailing_id, func.sum(Run.clicked)).where(Run.mailing_id.in_(mailings))
    clicked = dict(db.session.execute(clicks.group_by(Run.mailing_id)).tuples().all())
    return {
        step.id: StepCounts(
            waiting=waiting.get(step.id, 0),
            next_due_at=_find_next(step.id) if waiting.get(step.id) else None,
            planned=int(letters.get(step.mailing_id, (0, 0))[0] or 0),
            sent=int(letters.get(step.mailing_id, (0, 0))[1] or 0),
            clicked=int(clicked.get(step.mailing_id) or 0),
            skipped=step.skipped,
            left=step.left,
        )
        for step in steps
    }


def count_uncertain(sequence: Sequence) -> int:
    """Return how many clients wait for an email that may have been sent before a backup was restored."""
    if sequence.restored_at is None:
        return 0
    steps = select(SequenceStep.id).where(SequenceStep.sequence_id == sequence.id)
    was_due = Enrolment.step_id.in_(steps) & (Enrolment.due_at <= sequence.restored_at)
    return db.session.scalar(select(func.count()).select_from(Enrolment).where(was_due, IS_ACTIVE)) or 0


def _find_next(step_id: int) -> datetime | None:
    is_waiting = (Enrolment.step_id == step_id) & IS_ACTIVE
    return db.session.scalar(select(func.min(Enrolment.due_at)).where(is_waiting))


def select_people(sequence_id: int, state: EnrolmentState | None = None) -> Select[Any]:
    """Select the enrolments of a sequence with their clients, for a list."""
    people = select(Enrolment, Client).join(Client, Client.id == Enrolment.client_id)
    people = people.where(Enrolment.sequence_id == sequence_id)
    return people if state is None else people.where(Enrolment.state == state)


def list_messages(owner_id: int) -> list[tuple[int, str]]:
    """Return the IDs and subjects of the owner's messages, newest first."""
    own = select(Message.id, Message.subject).where(Message.owner_id == owner_id)
    return list(db.session.execute(own.order_by(Message.id.desc()).limit(500)).tuples())


def list_names(model: Any, owner_id: int) -> list[tuple[int, str]]:
    """Return the IDs and names of the owner's objects, by name."""
    own = select(model.id, model.name).where(model.owner_id == owner_id)
    return list(db.session.execute(own.order_by(func.lower(model.name))).tuples())


def list_date_keys(owner: User, current: str = "") -> tuple[list[str], list[str]]:
    """Return the owner's custom fields that contain dates, and others that may contain some.

    The latter include `current`, the current choice.
    """
    formats = ValueFormats.of(owner)
    newest = select(Client.attributes).where(Client.owner_id == owner.id).order_by(Client.id.desc())
    rows = db.session.scalars(newest.limit(CLIENTS_READ)).all()
    dates, others = [], [current] if current else []
    for key in list_attributes(owner):
        type_ = formats.types.get(key)
        found = [formats.parse_date(str(row[key])) for row in rows if row.get(key)]
        if type_ is AttributeType.DATE or (found and all(found)):
            dates.append(key)
        elif type_ in (None, AttributeType.TEXT) and (any(found) or not found):
            others.append(key)
    return dates, [key for key in dict.fromkeys(others) if key not in dates]
