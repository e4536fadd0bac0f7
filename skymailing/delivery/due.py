"""Find due work: starts of mailings, runs with letters to send now, and runs that have ended.

Each kind is found with one statement, regardless of the number of open runs.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, literal_column, or_, select

from skymailing.db.engine import reading_engine
from skymailing.delivery import lateness, local_runs
from skymailing.delivery.daily_runs import is_expired, may_get_letters
from skymailing.delivery.eligibility import RUN_HOURS, hours_of, is_open, may_send, may_start
from skymailing.delivery.routing import owner_pauses, servers
from skymailing.delivery.routing.routes import list_configured
from skymailing.delivery.variants.samples import IN_SAMPLE, IS_PENDING_IN_SAMPLE, is_testing
from skymailing.models import (
    CAUGHT_KINDS,
    OPEN_DELIVERY_STATES,
    OPEN_RUN_STATES,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    Run,
    User,
)
from skymailing.quotas import letters
from skymailing.settings.engine import engine_settings

BATCH = 1_000  # starts per sweep


def find_mailings(now: datetime, owner_id: int | None = None) -> list[int]:
    """Return the mailings to start now, of one owner or of all, within the limit on runs."""
    limit = engine_settings().most_runs_per_owner
    rank = func.row_number().over(partition_by=Mailing.owner_id, order_by=Mailing.next_run_at)
    ranked = (
        select(Mailing.id, Mailing.owner_id, Mailing.next_run_at, rank.label("rank"))
        .join(User, User.id == Mailing.owner_id)
        .where(may_start(now), *_is_owned(owner_id))
        .subquery()
    )
    first = select(ranked).where(ranked.c.rank <= limit).order_by(ranked.c.rank, ranked.c.next_run_at)
    with reading_engine().connect() as connection:
        rows = connection.execute(first.limit(BATCH)).all()
    if not rows:
        return []
    running = Counter(owner for owner, _ in find_runs(now, owner_id, within_limits=False))
    return [row.id for row in rows if running[row.owner_id] + row.rank <= limit]


def has_room(owner_id: int, now: datetime) -> bool:
    """Return whether the owner may have another run in progress."""
    return len(find_runs(now, owner_id, within_limits=False)) < engine_settings().most_runs_per_owner


def find_runs(
    now: datetime, owner_id: int | None = None, *, within_limits: bool = True
) -> list[tuple[int, int]]:
    """Return the owner and ID of each run with letters to send now, in rounds of one run per owner.

    Transactional letters come first.

    With `within_limits`, return only runs of owners who have not reached a limit on letters, and whose mail
    server accepts letters; without it, only those of mailings, whose number is limited. While a test is
    undecided, only the letters of its sample count; in a run at local time, only letters that are due.
    """
    is_pending = Delivery.state == DeliveryState.PENDING
    # A literal instead of a parameter, so that both databases use the partial index.
    is_retry = (Delivery.state == literal_column("'deferred'")) & (Delivery.due_at <= now)
    statement = (
        _select_open_runs(Run.id, Mailing.owner_id, *RUN_HOURS)
        .where(
            may_send(now),
            *(() if within_limits else (Mailing.kind == MailingKind.MAILING,)),
            *_within_limits(now) if within_limits else (),
            or_(
                ~is_testing() & ~Run.is_local_time & (_has_delivery(is_pending) | _has_delivery(is_retry)),
                Run.is_local_time & (_has_delivery(local_runs.is_due(now)) | _has_delivery(is_retry)),
                is_testing() & (_has_delivery(IS_PENDING_IN_SAMPLE) | _has_delivery(is_retry & IN_SAMPLE)),
            ),
            *_is_owned(owner_id),
        )
        .order_by(Mailing.kind.desc(), Run.id)
    )
    with reading_engine().connect() as connection:
        rows = connection.execute(statement).all()
    ranks: Counter[int] = Counter()
    found = []
    for row in rows:
        if is_open(row, now):
            found.append((ranks[row.owner_id], row.id, row.owner_id))
            ranks[row.owner_id] += 1
    found.sort(key=lambda place: place[0])
    return [(owner, run) for _, run, owner in found]


def find_ended_runs(now: datetime) -> Sequence[int]:
    """Return the open runs without open letters, and those whose letters can no longer be sent."""
    is_over = (Mailing.state == MailingState.CANCELLED) | (Mailing.ends_at <= now) | is_expired(now)
    has_open = _has_delivery(Delivery.state.in_(OPEN_DELIVERY_STATES))
    is_sure = is_over | (~has_open & ~may_get_letters(now))
    ended = _select_open_runs(Run.id, Run.scheduled_for, is_sure.label("is_sure"), *RUN_HOURS)
    with reading_engine().connect() as connection:
        rows = connection.execute(ended.where(is_sure | lateness.may_skip(now)).order_by(Run.id)).all()
    return [row.id for row in rows if row.is_sure or lateness.is_late(row.scheduled_for, hours_of(row), now)]


def _within_limits(now: datetime) -> tuple[ColumnElement[bool], ...]:
    may_use_route = Run.server_id.is_not(None) | owner_pauses.has_route(list_configured(), now)
    may_send_letters = letters.has_room(now) & may_use_route & servers.may_be_used(now)
    return (Mailing.kind.in_(CAUGHT_KINDS) | may_send_letters,)


def _select_open_runs(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(Run)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(Run.state.in_(OPEN_RUN_STATES))
    )


def _has_delivery(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that the run has such a delivery, found through the run's index.

    With EXISTS, PostgreSQL might read all deliveries of all runs instead.
    """
    one = select(literal(1)).where(Delivery.run_id == Run.id, condition).limit(1)
    return one.correlate(Run).scalar_subquery().is_not(None)


def _is_owned(owner_id: int | None) -> list[ColumnElement[bool]]:
    return [] if owner_id is None else [Mailing.owner_id == owner_id]
