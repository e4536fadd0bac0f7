"""Limit how many clients one transaction deletes, or gives a value, by the size of their data.

A deletion stores all their data for the undo; setting a value reads and writes all their custom fields.
"""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Text, cast, func, select

from skymailing.db.engine import is_in
from skymailing.extensions import db
from skymailing.models import BulkAction, Client, ClientNote, Delivery, Purchase

MAX_LETTERS = 20_000  # together with purchases
MAX_CHARACTERS = 10_000_000  # of comments, attributes and notes; PostgreSQL stores at most 256 MB in a value
FIELDS_LENGTH = func.length(cast(Client.attributes, Text))


def count_fitting(action: BulkAction, ids: Sequence[int]) -> int:
    """Return how many of these clients, from the first on, one transaction can change: at least one."""
    sizes: dict[int, int]
    letters: Counter[int] = Counter()
    match action:
        case BulkAction.DELETE:
            sizes, letters = _measure(ids), _count_letters(ids)
        case BulkAction.SET:
            sizes = _measure_fields(ids)
        case _:
            return len(ids)
    all_letters = all_characters = 0
    for number, id in enumerate(ids):
        all_letters += letters[id]
        all_characters += sizes.get(id, 0)
        if number and (all_letters > MAX_LETTERS or all_characters > MAX_CHARACTERS):
            return number
    return len(ids)


def _measure(ids: Sequence[int]) -> dict[int, int]:
    size = FIELDS_LENGTH + func.length(Client.comment)
    sizes = dict(db.session.execute(select(Client.id, size).where(is_in(Client.id, ids))).tuples().all())
    notes = select(ClientNote.client_id, func.sum(func.length(ClientNote.text)))
    notes = notes.where(is_in(ClientNote.client_id, ids)).group_by(ClientNote.client_id)
    for client_id, length in db.session.execute(notes).tuples():
        sizes[client_id] = sizes.get(client_id, 0) + length
    return sizes


def _measure_fields(ids: Sequence[int]) -> dict[int, int]:
    measured = select(Client.id, FIELDS_LENGTH).where(is_in(Client.id, ids))
    return dict(db.session.execute(measured).tuples().all())


def _count_letters(ids: Sequence[int]) -> Counter[int]:
    """Count the letters and purchases of each client."""
    counts: Counter[int] = Counter()
    for column in (Delivery.client_id, Purchase.client_id):
        counted = select(column, func.count()).where(is_in(column, ids)).group_by(column)
        counts.update({id: count for id, count in db.session.execute(counted).tuples() if id is not None})
    return counts
