"""Word of a letter that comes after its lease was believed lost, and the sweep had to assume it unknown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, Row, select, update

from skymailing.db.engine import is_one_of
from skymailing.delivery.ledger.statistics import Changes, RunKey, unknown_since
from skymailing.delivery.retry import UNCOUNTED, Step, as_logged
from skymailing.delivery.smtp.session import Result
from skymailing.models import OPEN_STATES, Attempt, Delivery, DeliveryState, Mailing, Outcome, Run, RunState

KEYS_AT_ONCE = 500


def settle_assumed(
    connection: Connection, token: str, late: list[Result], step: Step, changes: Changes, now: datetime
) -> list[Result]:
    """Let late results, which all lead to `step`, settle what was assumed; return those to be logged.

    The unknown stands in the log, so what is known now is one attempt more there. What is told twice
    finds no assumed unknown.
    """
    rows = _assumed(connection, token, [result.letter.delivery_id for result in late])
    if not rows:
        return []
    is_counted = late[0].verdict not in UNCOUNTED
    if step.state in OPEN_STATES and not _is_under_way(connection, changes.run.id):
        # Nothing may wait in a run that is over: nothing would ever send it.
        if not is_counted:
            return []
        step = Step(DeliveryState.FAILED)
    elif not is_counted:
        # It was never handed over, so it need not wait for the time of a second try.
        step = Step(DeliveryState.DEFERRED, now)
    connection.execute(
        update(Delivery)
        .where(is_one_of(Delivery.id, "ids"))
        .values(step.columns(now) | {"attempts": Delivery.attempts + int(is_counted)}),
        {"ids": [row.id for row in rows]},
    )
    for row in rows:
        changes.move(row.state, -1, row.at if row.state is DeliveryState.UNKNOWN else now)
    changes.move(step.state, len(rows), now)
    numbers = {row.id: row.attempts + 1 for row in rows if is_counted}
    return [
        as_logged(
            replace(result, letter=replace(result.letter, number=numbers[result.letter.delivery_id])), step
        )
        for result in late
        if result.letter.delivery_id in numbers
    ]


def note_accepted(connection: Connection, run: RunKey, email_keys: Iterable[str], now: datetime) -> int:
    """Settle as sent the run's unclear letters to these addresses, as the mail server's own log tells.

    Returns how many there were. The unknown attempt stays in our log: it is what we saw ourselves.
    """
    changes = Changes(run)
    total = 0
    for keys in batched(email_keys, KEYS_AT_ONCE):
        unclear = (Delivery.run_id == run.id) & (Delivery.state == DeliveryState.UNKNOWN)
        rows = connection.execute(
            select(Delivery.id, Delivery.finished_at)
            .where(unclear, Delivery.email_key.in_(keys))
            .with_for_update()
        ).all()
        ids = [row.id for row in rows]
        since = unknown_since(connection, ids)
        for row in rows:
            changes.move(DeliveryState.UNKNOWN, -1, since.get(row.id) or row.finished_at or now)
        connection.execute(
            update(Delivery)
            .where(is_one_of(Delivery.id, "ids"))
            .values(state=DeliveryState.SENT, finished_at=now),
            {"ids": ids},
        )
        changes.move(DeliveryState.SENT, len(ids), now)
        total += len(ids)
    changes.write(connection)
    return total


def batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the items in lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _assumed(
    connection: Connection, token: str, ids: list[int]
) -> Sequence[Row[tuple[int, DeliveryState, int, datetime]]]:
    is_last_word = (Attempt.delivery_id == Delivery.id) & (Attempt.number == Delivery.attempts)
    is_unclear = Delivery.state.in_([DeliveryState.UNKNOWN, DeliveryState.DEFERRED])
    return connection.execute(
        select(Delivery.id, Delivery.state, Delivery.attempts, Attempt.at)
        .join(Attempt, is_last_word & (Attempt.outcome == Outcome.UNKNOWN))
        .where(is_one_of(Delivery.id, "ids"), Delivery.lease_token == token, is_unclear)
        .order_by(Delivery.id)
        .with_for_update(of=Delivery),
        {"ids": ids},
    ).all()


def _is_under_way(connection: Connection, run_id: int) -> bool:
    """Whether the run goes on; keeps it from ending until this transaction does."""
    mailing_id = select(Run.mailing_id).where(Run.id == run_id).scalar_subquery()
    connection.execute(select(Mailing.id).where(Mailing.id == mailing_id).with_for_update())
    state = connection.execute(select(Run.state).where(Run.id == run_id)).scalar_one()
    return state in (RunState.PLANNED, RunState.SENDING)
