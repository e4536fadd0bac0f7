"""Store the links of a run's letters, each with the number that replaces it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update

from skymailing.db.engine import insert_into, reading_engine
from skymailing.delivery.rendering.tracked_links import PageLink
from skymailing.extensions import db
from skymailing.models import RunLink
from skymailing.models.tracking import variant_bit


def number_links(run_id: int, links: Sequence[PageLink], variant: int = 0) -> list[int]:
    """Return the number of each link in the letters of a variant, 0 without a test; store new links.

    Workers that compile the same content store the same links. After an update, another version may find
    other links in the middle of a run, but numbers that are already in letters keep their targets.
    """
    stored = _read(run_id)
    numbers = match_links(stored, links)
    last = max(stored, default=0)
    rows = []
    for index, link in enumerate(links):
        if numbers[index] == 0:
            last += 1
            numbers[index] = last
            rows.append({"run_id": run_id, "number": last, "url": link.url, "label": link.label})
    if rows:
        with db.engine.begin() as connection:
            connection.execute(insert_into(RunLink).on_conflict_do_nothing(), rows)
        if _read(run_id) != _expect(stored, rows):
            return number_links(run_id, links, variant)  # another worker has stored other links first
    if variant and numbers:
        _add_variant(run_id, numbers, variant)
    return numbers


def _add_variant(run_id: int, numbers: Sequence[int], variant: int) -> None:
    """Store that the letters of a variant contain these links."""
    bit = variant_bit(variant)
    lacks_variant = (RunLink.run_id == run_id) & (RunLink.variants.bitwise_and(bit) == 0)
    lacks_variant &= RunLink.number.in_(numbers)
    with reading_engine().connect() as connection:
        if connection.scalar(select(RunLink.number).where(lacks_variant).limit(1)) is None:
            return
    with db.engine.begin() as connection:
        connection.execute(
            update(RunLink).where(lacks_variant).values(variants=RunLink.variants.bitwise_or(bit))
        )


def match_links(stored: Mapping[int, str], links: Sequence[PageLink]) -> list[int]:
    """Return the stored number of each link, 0 for one that is not stored; no number is used twice."""
    free = dict(stored)
    numbers = []
    for position, link in enumerate(links, start=1):
        same = (
            [position]
            if free.get(position) == link.url
            else [n for n, url in free.items() if url == link.url]
        )
        numbers.append(same[0] if same else 0)
        if same:
            del free[same[0]]
    return numbers


def _expect(stored: dict[int, str], rows: Sequence[dict[str, object]]) -> dict[int, str]:
    return stored | {int(str(row["number"])): str(row["url"]) for row in rows}


def _read(run_id: int) -> dict[int, str]:
    with reading_engine().connect() as connection:
        found = select(RunLink.number, RunLink.url).where(RunLink.run_id == run_id).order_by(RunLink.number)
        return dict(connection.execute(found).tuples().all())
