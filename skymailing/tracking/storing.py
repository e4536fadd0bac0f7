"""Store new click counts per letter and per run, and for each link in them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, Integer, bindparam, inspect, select, true, update

from skymailing.db.engine import insert_into
from skymailing.db.json_rows import list_rows
from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.models import Click, Engagement, Run, RunLink
from skymailing.models.base import Model
from skymailing.tracking.click_counts import LetterClicks
from skymailing.tracking.click_events import report_clicks
from skymailing.tracking.devices import Device

# The columns that a fold writes, with their types in JSON.
CLICKS = {
    **dict.fromkeys(("delivery_id", "number", "run_id", "first_at", "last_at"), BigInteger),
    "was_person": Boolean,
    **dict.fromkeys(("clicks", "machine_clicks"), BigInteger),
}
ENGAGEMENTS = dict.fromkeys(
    ("delivery_id", "run_id", "mailing_id", "first_click_at", "clicks", "machine_clicks"), BigInteger
)

# The columns of Run that count the people who first clicked on these devices.
DEVICE_COLUMNS = {
    Device.PHONE: "clicked_on_phone",
    Device.TABLET: "clicked_on_tablet",
    Device.COMPUTER: "clicked_on_computer",
}


def store_clicks(connection: Connection, letters: Sequence[LetterClicks], now: datetime) -> None:
    """Store each letter's click counts. Folds take turns, so no other process changes these rows."""
    if not letters:
        return
    _replace(connection, Click, CLICKS, [row for letter in letters for row in _list_clicks(letter)])
    _replace(connection, Engagement, ENGAGEMENTS, [_list_engagement(letter) for letter in letters])
    _increase_links(connection, letters)
    report_clicks(connection, letters, now)
    _increase_runs(connection, letters, now)


def _list_clicks(letter: LetterClicks) -> list[tuple[object, ...]]:
    """Return the rows of the links whose counts have changed, in the order of CLICKS."""
    return [
        (
            *(letter.delivery_id, number, letter.run_id, link.first_at, link.last_at),
            *(link.was_person, link.clicks, link.machine_clicks),
        )
        for number, link in letter.links.items()
        if letter.stored.get(number) != (link.clicks, link.machine_clicks)
    ]


def _list_engagement(letter: LetterClicks) -> tuple[object, ...]:
    """Return the row of a letter, in the order of ENGAGEMENTS."""
    links = letter.links.values()
    first = min((link.first_at for link in links if link.clicks), default=None)
    machine_clicks = sum(link.machine_clicks for link in links)
    return (letter.delivery_id, letter.run_id, letter.mailing_id, first, letter.clicks, machine_clicks)


def _replace(
    connection: Connection, model: type[Model], types: Mapping[str, Any], rows: Sequence[Sequence[object]]
) -> None:
    """Insert rows; if a row exists, replace all its columns in `types`."""
    given = list_rows(rows, **types)
    # SQLite cannot parse ON CONFLICT after a SELECT without WHERE.
    source = select(*(given.c[name] for name in types)).where(true())
    statement = insert_into(model).from_select(list(types), source)
    keys = [column.name for column in inspect(model).primary_key]
    new = statement.excluded
    changed = {name: new[name] for name in types if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


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
    """Count the people who clicked, once per letter, and their devices."""
    clicked: dict[int, Counter[str]] = defaultdict(Counter)
    for letter in letters:
        if change := bool(letter.clicks) - letter.was_clicked:
            clicked[letter.run_id]["clicked"] += change
            # The device of an earlier click is not stored. A click that is removed again comes from a
            # gateway, which looks like a computer.
            device = letter.device if change > 0 else Device.COMPUTER
            if device and (column := DEVICE_COLUMNS.get(device)):
                clicked[letter.run_id][column] += change
    changed = {run_id: counts for run_id, counts in clicked.items() if any(counts.values())}
    if not changed:
        return
    counted = [run_id for run_id, counts in changed.items() if counts["clicked"]]
    for run in run_keys(connection, sorted(counted)):
        changes = Changes(run, is_shared=True)
        changes.add("clicked", changed[run.id]["clicked"], now)
        changes.write(connection)
    # Update runs after their intervals, as workers do; otherwise, recounting a run that is ending could
    # deadlock.
    names = ("clicked", *DEVICE_COLUMNS.values())
    increase = update(Run).where(Run.id == bindparam("run")).values({name: _add(Run, name) for name in names})
    connection.execute(
        increase,
        [
            {"run": id, **{f"more_{name}": counts[name] for name in names}}
            for id, counts in sorted(changed.items())
        ],
    )


def _add(model: type[Model], name: str) -> Any:
    return getattr(model, name) + bindparam(f"more_{name}", type_=Integer)
