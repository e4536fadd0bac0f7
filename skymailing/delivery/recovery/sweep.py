"""The sweep: everything that a lost hint or a dead worker left behind is found in the database."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from skymailing.db.engine import is_one_of, reading_engine
from skymailing.delivery import metrics, plan
from skymailing.delivery.journal import DeadJournal, Lease, known_leases, read_dead_journals
from skymailing.delivery.ledger import claims, record
from skymailing.delivery.ledger.claims import OpenRun
from skymailing.delivery.smtp.session import Letter, Result, Verdict
from skymailing.extensions import db
from skymailing.models import Delivery, DeliveryState, Mailing, MailingState, Run, RunState, User
from skymailing.settings.engine import engine_settings

logger = logging.getLogger(__name__)

BATCH = 1_000
LOST_LEASE = "the sending process ended and left no record of this letter"


@dataclass
class Findings:
    """What the sweep found: mailings whose run is due and runs with letters to send now."""

    due_mailings: list[int] = field(default_factory=list)
    due_runs: list[int] = field(default_factory=list)


def sweep(journals: Path, now: datetime) -> Findings:
    """Settle what dead workers held, end what is over, and return what is due."""
    read_back(journals, now)
    settle_expired_leases(journals, now)
    end_closed_windows(now)
    return Findings(due_mailings=_due_mailings(now), due_runs=_settle_runs(now))


def read_back(journals: Path, now: datetime) -> None:
    """Settle what the dead workers of this host held."""
    for journal in read_dead_journals(journals):
        settle_journal(journal, now)
        if _is_over(journal, now):
            journal.remove()


def settle_journal(journal: DeadJournal, now: datetime) -> None:
    """Record what a dead worker knew; what it never began goes back to pending."""
    lease = journal.lease
    if lease is None:
        return
    with Session(db.engine) as session, session.begin():
        # What has been assumed unknown meanwhile, by a sweep that did not see this journal.
        for run, rows in _by_run(session, _assumed(session, lease)):
            _settle(session, run, lease.token, rows, lease.tell_ended(rows), now)
        held = _held(session, Delivery.lease_token == lease.token)
        if held:
            logger.warning("settling %d letters of a worker that died", len(held))
            metrics.count_lost_leases(len(held))
        for run, rows in _by_run(session, held):
            results = lease.tell_ended(rows) + lease.tell_others(rows, journal.complete)
            _settle(session, run, lease.token, rows, results, now)


def _is_over(journal: DeadJournal, now: datetime) -> bool:
    """Whether nothing that the dead worker asked of the database can still take effect.

    A claim or a record may be on its way through the database when its worker is already dead: a
    claim that nobody sees yet, or rows that stay as they are should the record be rolled back.
    """
    if journal.lease is None:
        return True
    if now - journal.written_at <= engine_settings().lease:
        return False
    held = exists().where(
        Delivery.state == DeliveryState.SENDING, Delivery.lease_token == journal.lease.token
    )
    with Session(reading_engine()) as session:
        return not session.scalar(select(held))


def settle_expired_leases(journals: Path, now: datetime) -> None:
    """Mark unknown what was being sent by somebody of whom no journal tells.

    A lease that a journal tells of is its worker's, who only looks dead to a clock that has jumped, or
    will be settled by what the journal says.
    """
    while True:
        with Session(db.engine) as session, session.begin():
            expired = (Delivery.state == DeliveryState.SENDING) & (Delivery.lease_until < now)
            held = _held(session, expired)
            if held:
                # Asked after the rows: a claim is in the journal before it is in the database.
                known = known_leases(journals)
                held = [row for row in held if row.lease_token not in known]
            if not held:
                return
            logger.warning("%d letters were held by a worker that is gone", len(held))
            metrics.count_lost_leases(len(held))
            for token in {row.lease_token or "" for row in held}:
                mine = [row for row in held if (row.lease_token or "") == token]
                for run, rows in _by_run(session, mine):
                    results = [
                        Result(
                            Letter(row.id, row.attempts + 1, row.email, b""),
                            Verdict.UNKNOWN,
                            None,
                            LOST_LEASE,
                        )
                        for row in rows
                    ]
                    _settle(session, run, token, rows, results, now)


def _held(session: Session, condition: object) -> list[Delivery]:
    statement = (
        select(Delivery)
        .where(condition, Delivery.state == DeliveryState.SENDING)  # type: ignore[arg-type]  # a SQL condition
        .order_by(Delivery.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(statement))


def _assumed(session: Session, lease: Lease) -> list[Delivery]:
    """Return those of the lease's letters that had an answer but have been assumed unknown since."""
    ended = [result.letter.delivery_id for result in lease.results]
    is_assumed = Delivery.state.in_([DeliveryState.UNKNOWN, DeliveryState.DEFERRED])
    statement = select(Delivery).where(
        is_one_of(Delivery.id, "ids"), Delivery.lease_token == lease.token, is_assumed
    )
    return list(session.scalars(statement, {"ids": ended})) if ended else []


def _by_run(session: Session, rows: list[Delivery]) -> Iterable[tuple[OpenRun, list[Delivery]]]:
    for run_id in {row.run_id for row in rows}:
        run = claims.load_run(session.connection(), run_id)
        yield run, [row for row in rows if row.run_id == run_id]


def _settle(
    session: Session, run: OpenRun, token: str, rows: list[Delivery], results: list[Result], now: datetime
) -> None:
    unknowns = {row.id: row.unknowns for row in rows}
    record.record(session.connection(), run, token, results, unknowns, "", now)


def end_closed_windows(now: datetime) -> None:
    """Finish mailings whose window closed while no run of theirs was open."""
    open_run = exists().where(
        Run.mailing_id == Mailing.id, Run.state.in_([RunState.PLANNED, RunState.SENDING])
    )
    with Session(db.engine) as session, session.begin():
        over = session.scalars(
            select(Mailing)
            .where(
                Mailing.state.in_([MailingState.SCHEDULED, MailingState.PAUSED]),
                Mailing.ends_at <= now,
                ~open_run,
            )
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        for mailing in over:
            plan.end_unsent(mailing)


def _due_mailings(now: datetime) -> list[int]:
    with Session(db.engine) as session, session.begin():
        return list(
            session.scalars(
                select(Mailing.id)
                .join(User, User.id == Mailing.owner_id)
                .where(
                    Mailing.state == MailingState.SCHEDULED,
                    Mailing.next_run_at <= now,
                    Mailing.disabled_at.is_(None),
                    User.blocked_at.is_(None),
                )
                .order_by(Mailing.next_run_at)
                .limit(BATCH)
            )
        )


def _settle_runs(now: datetime) -> list[int]:
    """Settle every run that is not over and return those with something to send now."""
    with Session(db.engine) as session, session.begin():
        runs = session.execute(
            select(Run.id, Mailing.state, Mailing.disabled_at, User.blocked_at, *claims.HOURS)
            .join(Mailing, Mailing.id == Run.mailing_id)
            .join(User, User.id == Mailing.owner_id)
            .where(Run.state.in_([RunState.PLANNED, RunState.SENDING]))
            .order_by(Run.id)
        ).all()
    due = []
    for run in runs:
        if plan.settle_run(run.id, now):
            continue
        sendable = run.state is MailingState.RUNNING and not run.disabled_at and not run.blocked_at
        if sendable and claims.hours_of(run).is_open(now) and _has_due(run.id, now):
            due.append(run.id)
    return due


def _has_due(run_id: int, now: datetime) -> bool:
    ready = or_(
        Delivery.state == DeliveryState.PENDING,
        (Delivery.state == DeliveryState.DEFERRED) & (Delivery.due_at <= now),
    )
    with Session(db.engine) as session, session.begin():
        return bool(session.scalar(select(exists().where(Delivery.run_id == run_id, ready))))
