"""Find and finish the work that lost hints and dead workers left in the database."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from skymailing.db.engine import is_in, is_one_of, reading_engine
from skymailing.delivery import due, metrics, plan
from skymailing.delivery.journal import DeadJournal, Lease, list_known_leases, read_dead_journals
from skymailing.delivery.ledger import record
from skymailing.delivery.ledger.open_runs import OpenRun, load_run
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import (
    OPEN_RUN_STATES,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Run,
)
from skymailing.settings.engine import engine_settings

logger = logging.getLogger(__name__)

BATCH = 1_000
PART_SECONDS = 2.0  # after which a part of the sweep leaves the rest to the next sweep
UNSTARTED_STATES = (MailingState.SCHEDULED, MailingState.PAUSED)
LOST_LEASE = "the sending process ended and left no record of this letter"


def recover_dead_journals(journals: Path, now: datetime) -> None:
    """Recover the leases of this host's dead workers."""
    for journal in read_dead_journals(journals):
        recover_journal(journal, now)
        if _is_obsolete(journal, now):
            journal.remove()


def recover_journal(journal: DeadJournal, now: datetime) -> None:
    """Record the results in a dead worker's journal; letters that it never started return to pending."""
    lease = journal.lease
    if lease is None:
        return
    with Session(db.engine) as session, session.begin():
        # A sweep that did not see this journal may have marked deliveries unknown.
        for run, rows in _group_by_run(session, _find_assumed_unknowns(session, lease)):
            _record(session, run, lease.token, rows, lease.list_results(rows), now)
        held = _lock_sending(session, Delivery.lease_token == lease.token)
        if held:
            logger.warning("recovering %d letters of a dead worker", len(held))
            metrics.count_lost_leases(len(held))
        for run, rows in _group_by_run(session, held):
            results = lease.list_results(rows) + lease.assume_results(rows, journal.is_complete)
            _record(session, run, lease.token, rows, results, now)


def _is_obsolete(journal: DeadJournal, now: datetime) -> bool:
    """Return whether no statement of the dead worker can still take effect in the database.

    A transaction may still be in progress after the worker's death: a claim that is not visible yet, or
    results that may be rolled back.
    """
    if journal.lease is None:
        return True
    if now - journal.written_at <= engine_settings().lease:
        return False
    is_held = (Delivery.state == DeliveryState.SENDING) & (Delivery.lease_token == journal.lease.token)
    with Session(reading_engine()) as session:
        held = exists().where(is_held, is_in(Delivery.run_id, _list_open_runs(session)))
        return not session.scalar(select(held))


def recover_lost_leases(journals: Path, now: datetime) -> None:
    """Mark the deliveries of expired leases as unknown if the lease is in no journal.

    A lease in a journal either belongs to a running worker, which only seems dead because the clock
    jumped, or is recovered from the journal.
    """
    deadline = time.monotonic() + PART_SECONDS
    while time.monotonic() < deadline:
        with Session(db.engine) as session, session.begin():
            held = _lock_sending(session, Delivery.lease_until < now)
            if held:
                # Read after the rows: a claim is in the journal before it is in the database.
                known = list_known_leases(journals)
                held = [row for row in held if row.lease_token not in known]
            if not held:
                return
            logger.warning("%d letters belonged to a dead worker without a journal", len(held))
            metrics.count_lost_leases(len(held))
            for token in {row.lease_token or "" for row in held}:
                leased = [row for row in held if (row.lease_token or "") == token]
                for run, rows in _group_by_run(session, leased):
                    _record(session, run, token, rows, [_make_lost_result(row) for row in rows], now)


def _make_lost_result(row: Delivery) -> Result:
    return Result(Letter(row.id, row.attempts + 1, row.email, b""), Verdict.UNKNOWN, None, LOST_LEASE)


def _lock_sending(session: Session, condition: ColumnElement[bool]) -> list[Delivery]:
    """Lock up to BATCH deliveries that are being sent, and return them in order of ID.

    They are found by run, because an index of leases would get an entry for each letter. Python sorts them:
    with ORDER BY, the databases might scan all rows in order of ID to find these few.
    """
    statement = (
        select(Delivery)
        .where(
            condition,
            Delivery.state == DeliveryState.SENDING,
            is_in(Delivery.run_id, _list_open_runs(session)),
        )
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return sorted(session.scalars(statement), key=lambda row: row.id)


def _list_open_runs(session: Session) -> list[int]:
    """Return the runs that may have letters being sent; a finished run has none."""
    return list(session.scalars(select(Run.id).where(Run.state.in_(OPEN_RUN_STATES))))


def _find_assumed_unknowns(session: Session, lease: Lease) -> list[Delivery]:
    """Return the lease's deliveries that got a reply but have since been marked unknown."""
    replied = [result.letter.delivery_id for result in lease.results]
    is_assumed = Delivery.state.in_([DeliveryState.UNKNOWN, DeliveryState.DEFERRED])
    statement = select(Delivery).where(
        is_one_of(Delivery.id, "ids"), Delivery.lease_token == lease.token, is_assumed
    )
    return list(session.scalars(statement, {"ids": replied})) if replied else []


def _group_by_run(session: Session, rows: list[Delivery]) -> Iterable[tuple[OpenRun, list[Delivery]]]:
    for run_id in {row.run_id for row in rows}:
        run = load_run(session.connection(), run_id)
        yield run, [row for row in rows if row.run_id == run_id]


def _record(
    session: Session, run: OpenRun, token: str, rows: list[Delivery], results: list[Result], now: datetime
) -> None:
    unknowns = {row.id: row.unknowns for row in rows}
    record.record_results(session.connection(), run, token, results, unknowns, "", now)


def finish_expired_mailings(now: datetime) -> None:
    """Finish mailings without an open run whose time window has ended."""
    open_run = exists().where(Run.mailing_id == Mailing.id, Run.state.in_(OPEN_RUN_STATES))
    has_run = exists().where(Run.mailing_id == Mailing.id)
    expired = (
        select(Mailing, has_run.label("has_run"))
        .where(Mailing.state.in_(UNSTARTED_STATES), Mailing.ends_at <= now, ~open_run)
        .limit(BATCH)
        .with_for_update(of=Mailing, skip_locked=True)
    )
    with Session(db.engine) as session, session.begin():
        for mailing, had_run in session.execute(expired):
            plan.finish_unsent(mailing, now, has_run=had_run)


def finish_ended_runs(now: datetime) -> None:
    """Finish the open runs that are over; those that take too long are left to the next sweep."""
    deadline = time.monotonic() + PART_SECONDS
    for run_id in due.find_ended_runs(now):
        if time.monotonic() > deadline:
            return
        plan.finish_run(run_id, now, lambda: time.monotonic() > deadline)
