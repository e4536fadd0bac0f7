"""Record the results of a window of letters: bulk statements without ORM objects."""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from skymailing.db.engine import insert_into, is_one_of
from skymailing.delivery.ledger.accepted import count_accepted
from skymailing.delivery.ledger.attempts import find_series, insert_attempts
from skymailing.delivery.ledger.late_results import reconcile_late_results
from skymailing.delivery.ledger.open_runs import OpenRun
from skymailing.delivery.ledger.run_counts import Changes
from skymailing.delivery.reputation import count_problems
from skymailing.delivery.retry import OUTCOMES, UNCOUNTED, Step, as_logged, choose_next_step, may_be_too_old
from skymailing.delivery.smtp.session import Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.events.suppressions import report_suppressed
from skymailing.models import Delivery, DeliveryState, Suppression, SuppressionReason, UsageKind
from skymailing.quotas import letters

# By RFC 3463 and 7505, these mean that the address does not exist; others mean a full mailbox, for example.
DEAD_ADDRESS = re.compile(r"5\.1\.(1|2|3|6|10)\b")
NOTE_LENGTH = 500
WAITING_STATES = (DeliveryState.PENDING, DeliveryState.DEFERRED)

# The properties of results that change their rows in the same way: the step, whether the attempt counts,
# and whether it is unknown.
Group = tuple[Step, bool, bool]


def record_results(  # noqa: PLR0913 - all data of a lease
    connection: Connection,
    run: OpenRun,
    token: str,
    results: Iterable[Result],
    unknowns: Mapping[int, int],
    route: str,
    now: datetime,
) -> None:
    """Record the results of a lease: new states, attempts, counts and suppressions of dead addresses.

    `unknowns` is the number of earlier unknown results of each delivery. A result that arrives after the
    lease was lost replaces the unknown result that the sweep assumed.
    """
    changes = Changes(run.key)
    tried: list[Result] = []
    waiting = 0  # claimed letters that become pending again
    for (step, is_counted, is_unknown), group in _group(connection, run, results, unknowns, now).items():
        moved = _move(connection, token, list(group), step, is_counted, is_unknown, now)
        changes.move(step.state, len(moved), now)
        if step.state in WAITING_STATES:
            waiting += len(moved)
        if is_counted:
            tried += [as_logged(group[id], step) for id in moved]
        if len(moved) < len(group) and not is_unknown:
            late = [group[id] for id in group.keys() - set(moved)]
            tried += reconcile_late_results(connection, token, late, step, changes, now)
    if tried:
        insert_attempts(connection, run, tried, route, now)
        _count_attempts(changes, tried, now)
        _suppress_dead(connection, run.owner_id, tried, now)
    if not run.is_caught:
        letters.release(connection, run.owner_id, waiting, now)
    changes.write(connection)
    count_accepted(connection, changes, now)


def _group(
    connection: Connection,
    run: OpenRun,
    results: Iterable[Result],
    unknowns: Mapping[int, int],
    now: datetime,
) -> dict[Group, dict[int, Result]]:
    """Return the results by delivery, grouped so that each group is one statement."""
    results = list(results)
    series = find_series(
        connection, [result for result in results if may_be_too_old(result, run.policy, now)], now
    )
    # The value is the same for the whole window, so that its deferred deliveries are one group.
    luck = random.uniform(-1, 1)  # noqa: S311 - spreads load, not used for security
    groups: dict[Group, dict[int, Result]] = defaultdict(dict)
    sent = groups[Step(DeliveryState.SENT), True, False]  # the group of most results, looked up only once
    for result in results:
        id = result.letter.delivery_id
        if result.verdict is Verdict.SENT:
            sent[id] = result
            continue
        step = choose_next_step(result, unknowns.get(id, 0), run.policy, now, luck, series.get(id))
        is_counted = result.verdict not in UNCOUNTED
        groups[step, is_counted, result.verdict is Verdict.UNKNOWN][id] = result
    return {group: members for group, members in groups.items() if members}


def _count_attempts(changes: Changes, tried: list[Result], now: datetime) -> None:
    changes.add("attempts", len(tried), now)
    for result in tried:
        if result.verdict is not Verdict.SENT:
            outcome = OUTCOMES[result.verdict]
            changes.add_refusal(outcome, result.code, result.answer, result.letter.recipient, now)


def _move(  # noqa: PLR0913 - all values that change a row
    connection: Connection,
    token: str,
    ids: list[int],
    step: Step,
    is_counted: bool,
    is_unknown: bool,
    now: datetime,
) -> Sequence[int]:
    """Update the rows that the lease still holds; return their IDs."""
    values = step.make_values(now)
    if is_counted:
        values["attempts"] = Delivery.attempts + 1
    if is_unknown:
        values["unknowns"] = Delivery.unknowns + 1
    ours = (Delivery.lease_token == token) & (Delivery.state == DeliveryState.SENDING)
    return connection.scalars(
        update(Delivery).where(is_one_of(Delivery.id, "ids"), ours).values(values).returning(Delivery.id),
        {"ids": ids},
    ).all()


def is_dead_address(result: Result) -> bool:
    """Return whether the letter failed because its address does not exist."""
    return result.verdict is Verdict.FAILED and DEAD_ADDRESS.match(result.answer) is not None


def _suppress_dead(connection: Connection, owner_id: int, tried: list[Result], now: datetime) -> None:
    answers = {result.letter.delivery_id: result.answer for result in tried if is_dead_address(result)}
    if not answers:
        return
    # Sorted, so that two runs with the same dead addresses cannot deadlock.
    found = select(Delivery.id, Delivery.email_key).where(Delivery.id.in_(answers))
    keys = connection.execute(found.order_by(Delivery.email_key)).tuples().all()
    connection.execute(
        insert_into(Suppression).on_conflict_do_nothing(),
        [
            {
                "owner_id": owner_id,
                "email_key": key,
                "reason": SuppressionReason.BOUNCED,
                "note": answers[id][:NOTE_LENGTH],
                "created_at": now,
            }
            for id, key in keys
        ],
    )
    report_suppressed(connection, owner_id, [key for _id, key in keys], now)
    count_problems(connection, owner_id, {UsageKind.BOUNCES: [now] * len(answers)}, now)
