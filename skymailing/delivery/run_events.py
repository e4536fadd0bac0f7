"""Report what happens to mailings and their runs, in the transaction that changes them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import object_session

from skymailing.events import payloads
from skymailing.events.recording import find_interested_owners, record
from skymailing.models import COUNTED_STATES, EventType, Mailing, Run, RunInterval


def report_started(mailing: Mailing, run: Run, now: datetime) -> None:
    """Report that a run was planned."""
    record(_connection_of(mailing), payloads.mailing_started(mailing, run, now))


def report_paused(mailing: Mailing, now: datetime) -> None:
    """Report that a mailing was paused, with its current reason."""
    record(_connection_of(mailing), payloads.mailing_paused(mailing, now))


def report_all_paused(
    connection: Connection, owner_id: int, mailings: Iterable[tuple[int, str]], reason: str, now: datetime
) -> None:
    """Report that mailings of an owner, given by ID and name, were paused for the same reason."""
    record(
        connection,
        *(payloads.paused_together(owner_id, id, name, reason, now) for id, name in mailings),
    )


def report_finished(mailing: Mailing, now: datetime) -> None:
    """Report that a mailing is finished."""
    record(_connection_of(mailing), payloads.mailing_finished(mailing, now))


def report_run(mailing: Mailing, run: Run, now: datetime) -> None:
    """Report that all letters of a run have a result, with the number of letters for each result."""
    connection = _connection_of(mailing)
    if find_interested_owners(connection, EventType.RUN_FINISHED, {mailing.owner_id}):
        sums = [func.coalesce(func.sum(RunInterval.__table__.c[state.value]), 0) for state in COUNTED_STATES]
        counts = connection.execute(select(*sums).where(RunInterval.run_id == run.id)).one()
        letters = {state.value: int(count) for state, count in zip(COUNTED_STATES, counts, strict=True)}
        record(connection, payloads.run_finished(mailing, run, letters, now))


def report_decided(mailing: Mailing, run: Run, now: datetime) -> None:
    """Report that the winner of an A/B test was chosen."""
    record(_connection_of(mailing), payloads.test_decided(mailing, run, now))


def _connection_of(mailing: Mailing) -> Connection:
    session = object_session(mailing)
    assert session is not None
    return session.connection()
