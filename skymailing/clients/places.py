"""Find a client's progress in sequences, and the sequences to which the client can be added."""

from collections.abc import Collection
from collections.abc import Sequence as Items
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select

from skymailing.extensions import db
from skymailing.models import (
    OPEN_ENROLMENT_STATES,
    Client,
    Enrolment,
    EnrolmentState,
    Sequence,
    SequenceState,
    SequenceStep,
)

PLACES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A client's progress in a sequence, and the step that the client waits for."""

    enrolment: Enrolment
    sequence: Sequence
    subject: str  # of the step's message; empty if the step no longer exists

    @property
    def is_open(self) -> bool:
        return self.enrolment.state in OPEN_ENROLMENT_STATES

    @property
    def state(self) -> EnrolmentState:
        return EnrolmentState(self.enrolment.state)


def list_places(client: Client) -> list[Place]:
    """Return a client's progress in sequences: unfinished ones first, then the latest."""
    is_open: ColumnElement[int] = case((Enrolment.state.in_(OPEN_ENROLMENT_STATES), 0), else_=1)
    rows = db.session.execute(
        select(Enrolment, Sequence)
        .join(Sequence, Sequence.id == Enrolment.sequence_id)
        .where(Enrolment.client_id == client.id, Sequence.owner_id == client.owner_id)
        .order_by(is_open, Enrolment.id.desc())
        .limit(PLACES_SHOWN)
    )
    found = rows.tuples().all()
    subjects = name_steps([enrolment.step_id for enrolment, _sequence in found])
    return [Place(enrolment, sequence, subjects.get(enrolment.step_id, "")) for enrolment, sequence in found]


def name_steps(step_ids: Collection[int]) -> dict[int, str]:
    """Return the subject of each step's message, by step ID."""
    steps = select(SequenceStep).where(SequenceStep.id.in_(step_ids))
    return {step.id: step.mailing.message.subject for step in db.session.scalars(steps)}


def find_enterable(owner_id: int) -> Items[Sequence]:
    """Return the sequences to which the owner can add clients, by name."""
    states = (SequenceState.ACTIVE, SequenceState.PAUSED)
    own = select(Sequence).where(Sequence.owner_id == owner_id, Sequence.state.in_(states))
    return db.session.scalars(own.order_by(func.lower(Sequence.name))).all()
