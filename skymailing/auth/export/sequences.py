"""Read an account's sequences, their steps, and the clients in them, for the export."""

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Items
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import cells, read_in_chunks, to_dict
from skymailing.models import Client, Enrolment, Sequence, SequenceStep

NOT_EXPORTED = ("owner_id", "checked_at", "checked_on", "restored_at", "version")


def read_sequences(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's sequences."""
    table = Sequence.__table__.c
    columns = [column for column in table if column.name not in NOT_EXPORTED]
    return map(to_dict, read_in_chunks(select(*columns).where(table.owner_id == user_id), table.id))


def read_steps(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the steps of the user's sequences; a step's letters belong to its mailing."""
    table = SequenceStep.__table__.c
    columns = [column for column in table if column.name not in NOT_EXPORTED]
    steps = select(*columns).join(Sequence, Sequence.id == table.sequence_id)
    return map(to_dict, read_in_chunks(steps.where(Sequence.owner_id == user_id), table.id))


def read_enrolments(user_id: int) -> Iterator[Items[Any]]:
    """Yield the clients in the user's sequences."""
    yield ("sequence", "email", "entry", "state", "step_id", "due", "entered", "ended", "reason")
    table = Enrolment.__table__.c
    columns = (table.entry, table.state, table.step_id, table.due_at, table.entered_at, table.ended_at)
    for sequence_id, name in read_in_chunks(
        select(Sequence.id, Sequence.name).where(Sequence.owner_id == user_id), Sequence.__table__.c.id
    ):
        rows = select(table.id, Client.email, *columns, table.left_reason)
        rows = rows.join(Client, Client.id == table.client_id).where(table.sequence_id == sequence_id)
        for row in read_in_chunks(rows, table.id):
            yield (name, *cells(row))


FILES: tuple[tuple[str, Callable[[int], Iterator[Any]]], ...] = (
    ("sequences.json", read_sequences),
    ("sequence-emails.json", read_steps),
    ("sequence-clients.csv", read_enrolments),
)
