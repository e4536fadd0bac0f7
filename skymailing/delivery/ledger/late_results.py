"""Reconcile results that arrive after the sweep marked their deliveries unknown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, Row, select, update

from skymailing.db.engine import is_one_of
from skymailing.delivery.ledger.accepted import count_accepted
from skymailing.delivery.ledger.run_counts import Changes, RunKey, find_unknown_since
from skymailing.delivery.retry import UNCOUNTED, Step, as_logged
from skymailing.delivery.smtp.session import Result
from skymailing.models import (
    OPEN_DELIVERY_STATES,
    OPEN_RUN_STATES,
    Attempt,
    Delivery,
    DeliveryState,
    Mailing,
    Outcome,
    Run,
)

KEYS_AT_ONCE = 500


def reconcile_late_results(
    connection: Connection, token: str, late: list[Result], step: Step, changes: Changes, now: datetime
) -> list[Result]:
    """Apply late results, which all lead to `step`, to assumed unknowns; return those to log.

    The assumed unknown remains in the log, so a late result is one more attempt there. A repeated
    result is ignored: the delivery is no longer unknown.
    """
    rows = _lock_assumed_unknowns(connection, token, [result.letter.delivery_id for result in late])
    if not rows:
        return []
    is_counted = late[0].verdict not in UNCOUNTED
    if step.state in OPEN_DELIVERY_STATES and not _is_run_open(connection, changes.run.id):
        # A delivery must not become open in a run that has ended, because it would never be sent.
        if not is_counted:
            return []
        step = Step(DeliveryState.FAILED)
    elif not is_counted:
        # The letter was not sent, so it can be sent now, without the delay before a second attempt.
        step = Step(DeliveryState.DEFERRED, now)
    connection.execute(
        update(Delivery)
        .where(is_one_of(Delivery.id, "ids"))
        .values(step.make_values(now) | {"attempts": Delivery.attempts + int(is_counted)}),
        {"ids": [row.id for row in rows]},
    )
    for row in rows:
        changes.move(row.state, -1, row.at if row.state is DeliveryState.UNKNOWN else now)
    changes.move(step.state, len(rows), now)
    numbers = {row.id: row.attempts + 1 for row in rows if is_counted}
    return [
        as_logged(
            result._replace(letter=replace(result.letter, number=numbers[result.letter.delivery_id])), step
        )
        for result in late
        if result.letter.delivery_id in numbers
    ]


def mark_accepted(connection: Connection, run: RunKey, email_keys: Iterable[str], now: datetime) -> int:
    """Mark the run's unknown deliveries to these addresses as sent, according to the mail server's log.

    Return their number. The unknown attempts remain in our log, because they are what we observed.
    """
    changes = Changes(run)
    total = 0
    for keys in batched(email_keys, KEYS_AT_ONCE):
        is_unknown = (Delivery.run_id == run.id) & (Delivery.state == DeliveryState.UNKNOWN)
        rows = connection.execute(
            select(Delivery.id, Delivery.finished_at)
            .where(is_unknown, Delivery.email_key.in_(keys))
            .with_for_update()
        ).all()
        ids = [row.id for row in rows]
        since = find_unknown_since(connection, ids)
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
    count_accepted(connection, changes, now)
    return total


def batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the items in lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _lock_assumed_unknowns(
    connection: Connection, token: str, ids: list[int]
) -> Sequence[Row[tuple[int, DeliveryState, int, datetime]]]:
    is_last = (Attempt.delivery_id == Delivery.id) & (Attempt.number == Delivery.attempts)
    # Unknown deliveries are deferred if the mailing sends them again.
    is_assumed = Delivery.state.in_([DeliveryState.UNKNOWN, DeliveryState.DEFERRED])
    return connection.execute(
        select(Delivery.id, Delivery.state, Delivery.attempts, Attempt.at)
        .join(Attempt, is_last & (Attempt.outcome == Outcome.UNKNOWN))
        .where(is_one_of(Delivery.id, "ids"), Delivery.lease_token == token, is_assumed)
        .order_by(Delivery.id)
        .with_for_update(of=Delivery),
        {"ids": ids},
    ).all()


def _is_run_open(connection: Connection, run_id: int) -> bool:
    """Return whether the run is open; locks its mailing so that it cannot end before this transaction."""
    mailing_id = select(Run.mailing_id).where(Run.id == run_id).scalar_subquery()
    connection.execute(select(Mailing.id).where(Mailing.id == mailing_id).with_for_update())
    state = connection.execute(select(Run.state).where(Run.id == run_id)).scalar_one()
    return state in OPEN_RUN_STATES
