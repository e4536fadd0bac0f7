"""Store new counts of clicks: per link of each letter, per letter, per link of the run, and per run."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, update

from skymailing.db.engine import insert_into
from skymailing.db.upserts import Insert, Upsert
from skymailing.delivery.ledger.statistics import Changes, run_keys
from skymailing.models import Click, Engagement, Run, RunLink
from skymailing.models.base import Model
from skymailing.tracking.click_counts import LetterClicks

CLICK_COLUMNS = ("first_at", "last_at", "was_person", "clicks", "machine_clicks")


def store_clicks(connection: Connection, letters: Sequence[LetterClicks], now: datetime) -> None:
    """Store the counts of letters. Folds take turns, so no other process changes these rows."""
    if not letters:
        return
    _CLICKS.execute(connection, [row for letter in letters for row in _list_clicks(letter)])
    _ENGAGEMENTS.execute(connection, [_describe(letter) for letter in letters])
    _increase_links(connection, letters)
    _increase_runs(connection, letters, now)


def _list_clicks(letter: LetterClicks) -> list[dict[str, Any]]:
    key = {"delivery_id": letter.delivery_id, "run_id": letter.run_id}
    return [
        {**key, "number": number, **{name: getattr(link, name) for name in CLICK_COLUMNS}}
        for number, link in letter.links.items()
        if letter.stored.get(number) != (link.clicks, link.machine_clicks)
    ]


def _describe(letter: LetterClicks) -> dict[str, Any]:
    links = letter.links.values()
    return {
        "delivery_id": letter.delivery_id,
        "run_id": letter.run_id,
        "mailing_id": letter.mailing_id,
        "first_click_at": min((link.first_at for link in links if link.clicks), default=None),
        "clicks": letter.clicks,
        "machine_clicks": sum(link.machine_clicks for link in links),
    }


def _increase_links(connection: Connection, letters: Sequence[LetterClicks]) -> None:
    totals: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for letter in letters:
        for number, link in letter.links.items():
            clicks, machine_clicks = letter.stored.get(number, (0, 0))
            total = totals[letter.run_id, number]
            total["people"] += bool(link.clicks) - bool(clicks)
            total["clicks"] += link.clicks - clicks
            total["machine_clicks"] += link.machine_clicks - machine_clicks
    names = ("people", "clicks", "machine_clicks")
    key = (RunLink.run_id == bindparam("run")) & (RunLink.number == bindparam("link"))
    increase = update(RunLink).where(key).values({name: _add(RunLink, name) for name in names})
    connection.execute(
        increase,
        [
            {"run": run_id, "link": number, **{f"more_{name}": total[name] for name in names}}
            for (run_id, number), total in sorted(totals.items())
        ],
    )


def _increase_runs(connection: Connection, letters: Sequence[LetterClicks], now: datetime) -> None:
    """Count the people who clicked, once per letter."""
    clicked: Counter[int] = Counter()
    for letter in letters:
        clicked[letter.run_id] += bool(letter.clicks) - letter.was_clicked
    changed = {run_id: count for run_id, count in clicked.items() if count}
    if not changed:
        return
    for run in run_keys(connection, sorted(changed)):
        changes = Changes(run, is_shared=True)
        changes.add("clicked", changed[run.id], now)
        changes.write(connection)
    # After the intervals, in the same order as workers: otherwise recounting a run that ends could deadlock.
    increase = update(Run).where(Run.id == bindparam("run")).values(clicked=_add(Run, "clicked"))
    connection.execute(increase, [{"run": id, "more_clicked": more} for id, more in sorted(changed.items())])


def _add(model: type[Model], name: str) -> Any:
    return getattr(model, name) + bindparam(f"more_{name}", type_=Integer)


def _replacing(model: type[Model], names: Sequence[str]) -> Upsert:
    """Return an upsert that replaces these columns of existing rows."""

    def make() -> Insert:
        statement = insert_into(model)
        return statement.on_conflict_do_update(
            index_elements=[column.name for column in model.__table__.primary_key],  # type: ignore[attr-defined]  # a Table
            set_={name: statement.excluded[name] for name in names},
        )

    return Upsert(make)


_CLICKS = _replacing(Click, CLICK_COLUMNS)
_ENGAGEMENTS = _replacing(Engagement, ("first_click_at", "clicks", "machine_clicks"))
