"""Read the links in an account's letters, and the clicks on them, for the export."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.account import read_run_ids
from skymailing.auth.export.rows import cells, read_in_chunks
from skymailing.models import Delivery, Engagement, RunLink
from skymailing.tracking.click_counts import to_time

LETTERS = "ABCD"  # names of an A/B test's variants


def read_links(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the links in the letters of each run, with their counts."""
    yield ("run_id", "link", "url", "label", "people", "clicks", "machine_clicks", "variants")
    counts = (RunLink.people, RunLink.clicks, RunLink.machine_clicks, RunLink.variants)
    for run_id in read_run_ids(user_id):
        statement = select(RunLink.number, RunLink.number, RunLink.url, RunLink.label, *counts)
        for *row, bits in read_in_chunks(
            statement.where(RunLink.run_id == run_id), RunLink.__table__.c.number
        ):
            yield (run_id, *cells(row), "".join(letter for n, letter in enumerate(LETTERS) if bits >> n & 1))


def read_clicks(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield each recipient's reaction to a letter: the first click, the number of clicks, and opens."""
    names = ("first_click", "clicks", "machine_clicks", "opened_on", "opens", "last_open")
    yield ("run_id", "email", *names)
    opens = (Engagement.opened_on, Engagement.opens, Engagement.last_open_at)
    counts = (Engagement.clicks, Engagement.machine_clicks, *opens)
    for run_id in read_run_ids(user_id):
        statement = select(Engagement.delivery_id, Delivery.email, Engagement.first_click_at, *counts)
        statement = statement.join(Delivery, Delivery.id == Engagement.delivery_id).where(
            Engagement.run_id == run_id
        )
        for _id, email, first, *counted, last in read_in_chunks(
            statement, Engagement.__table__.c.delivery_id
        ):
            yield (run_id, *cells((None, email, _read_time(first), *counted, _read_time(last))))


def _read_time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else to_time(milliseconds)
