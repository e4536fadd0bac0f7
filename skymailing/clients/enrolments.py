"""Keep clients' progress in sequences when clients are deleted, restored or merged."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select

from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Enrolment, SequenceSignal, SequenceStep, StepLetter
from skymailing.models import Sequence as LetterSequence

TIMES = ("due_at", "entered_at", "ended_at")
COPIED = ("sequence_id", "entry", "state", "step_id", "left_reason", *TIMES)


def find_enrolments(client_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the enrolments of each client, with the steps whose letters were planned, for an undo record."""
    rows = db.session.scalars(select(Enrolment).where(Enrolment.client_id.in_(client_ids))).all()
    steps: dict[int, list[int]] = {}
    letters = select(StepLetter.enrolment_id, StepLetter.step_id)
    letters = letters.where(StepLetter.enrolment_id.in_([row.id for row in rows]))
    for enrolment_id, step_id in db.session.execute(letters).tuples():
        steps.setdefault(enrolment_id, []).append(step_id)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        values = {name: getattr(row, name) for name in COPIED}
        values |= {name: values[name] and values[name].isoformat() for name in TIMES}
        found.setdefault(row.client_id, []).append(values | {"steps": steps.get(row.id, [])})
    return found


def restore_enrolments(owner_id: int, places: Iterable[tuple[int, dict[str, Any]]]) -> list[int]:
    """Restore enrolments, given with the IDs of their clients, if the sequences still exist.

    Return the IDs of the new rows.
    """
    steps = _list_steps(owner_id)
    restored = []
    for client_id, stored in places:
        if stored["sequence_id"] not in steps:
            continue
        values = {name: stored[name] for name in COPIED}
        values |= {name: values[name] and datetime.fromisoformat(values[name]) for name in TIMES}
        values["step_id"] = _find_step(steps[stored["sequence_id"]], stored)
        statement = insert_into(Enrolment).values(values | {"client_id": client_id})
        added = db.session.scalar(statement.on_conflict_do_nothing().returning(Enrolment.id))
        if added is None:
            continue
        restored.append(added)
        if stored["steps"]:
            notes = [{"enrolment_id": added, "step_id": step_id} for step_id in stored["steps"]]
            db.session.execute(insert(StepLetter), notes)
    return restored


def _list_steps(owner_id: int) -> dict[int, list[int]]:
    """Return the IDs of the steps of each of the owner's sequences, first to last, including removed ones."""
    columns = select(LetterSequence.id, SequenceStep.id)
    steps = columns.outerjoin(SequenceStep, SequenceStep.sequence_id == LetterSequence.id)
    ordered = steps.where(LetterSequence.owner_id == owner_id).order_by(SequenceStep.position)
    found: dict[int, list[int]] = {}
    for sequence_id, step_id in db.session.execute(ordered).tuples():
        found.setdefault(sequence_id, []).extend([] if step_id is None else [step_id])
    return found


def _find_step(steps: list[int], stored: dict[str, Any]) -> int:
    """Return the step that a client waits for, or if it has been deleted, the next one.

    The next step is the one after the last step whose letter was planned.
    """
    step_id: int = stored["step_id"]
    if step_id in steps or not steps:
        return step_id
    passed = [place for place, id in enumerate(steps) if id in stored["steps"]]
    return steps[min(max(passed, default=-1) + 1, len(steps) - 1)]


def copy_enrolments(owner_id: int, kept_id: int, removed_id: int) -> list[int]:
    """Copy another client's progress in sequences that the client has never entered.

    Return the IDs of the new rows.
    """
    own = set(db.session.scalars(select(Enrolment.sequence_id).where(Enrolment.client_id == kept_id)))
    found = find_enrolments([removed_id]).get(removed_id, [])
    return restore_enrolments(
        owner_id, [(kept_id, values) for values in found if values["sequence_id"] not in own]
    )


def remove_enrolments(client_id: int, ids: Sequence[int]) -> None:
    """Remove enrolments that `copy_enrolments` added."""
    copies = (Enrolment.client_id == client_id) & Enrolment.id.in_(ids)
    db.session.execute(delete(Enrolment).where(copies))


def find_last_signal() -> int:
    """Return the ID of the last signal, for `forget_signals`."""
    return db.session.scalar(select(func.max(SequenceSignal.id))) or 0


def forget_signals(client_ids: Sequence[int], since: int) -> None:
    """Remove later signals, so that clients do not enter because their tags were restored or copied."""
    newer = (SequenceSignal.id > since) & SequenceSignal.client_id.in_(client_ids)
    db.session.execute(delete(SequenceSignal).where(newer))
