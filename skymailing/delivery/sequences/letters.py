"""Add the letters of a step to its run of the day."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, exists, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import is_in
from skymailing.delivery.composition.planning import NewBodies
from skymailing.delivery.daily_runs import day_of
from skymailing.delivery.ledger.run_counts import Changes, RunKey
from skymailing.delivery.run_files import add_files, plan_files
from skymailing.delivery.senders import describe_mailing
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Enrolment,
    Mailing,
    Run,
    RunFile,
    RunState,
    SequenceStep,
    StepLetter,
)

# If the content, sender or a setting has changed, letters are added to a new run.
COPIED = (
    *("subject", "format", "body", "language", "sender_name", "sender_address", "reply_to"),
    *("server_id", "topic_id", "track_clicks", "track_opens", "file_bytes"),
)


# A step may get several runs at the time of one sweep, one after each change; their times differ by this.
TICK, MAX_RUNS = timedelta(microseconds=1), 10_000


@dataclass(frozen=True)
class NewLetters:
    """The letters of a step to add: the enrolments, and whether clients may have received it before."""

    step: SequenceStep
    enrolment_ids: Items[int]
    may_repeat: bool


def add_letters(session: Session, letters: NewLetters, bodies: NewBodies, now: datetime) -> int:
    """Insert and record the deliveries of a step in the caller's transaction; return the run's ID."""
    run = _join_run(session, letters, bodies, now)
    connection = session.connection()
    chosen = is_in(Enrolment.id, letters.enrolment_ids)
    notes = select(Enrolment.id, literal(letters.step.id)).where(chosen).order_by(Enrolment.id)
    connection.execute(insert(StepLetter).from_select(["enrolment_id", "step_id"], notes))
    values: dict[str, Any] = {
        "run_id": bindparam("run_id", run.id),
        "client_id": Client.id,
        "email": Client.email,
        "email_key": Client.email_key,
        "state": literal(DeliveryState.PENDING.value),
    }
    clients = select(*values.values()).join(Enrolment, Enrolment.client_id == Client.id).where(chosen)
    clients = clients.order_by(Client.id)
    statement = insert(Delivery).from_select(list(values), clients, include_defaults=False)
    count = connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    connection.execute(update(Run).where(Run.id == run.id).values(planned=Run.planned + count))
    changes = Changes(run)
    changes.add("planned", count, now)
    changes.write(connection)
    return run.id


def _join_run(session: Session, letters: NewLetters, bodies: NewBodies, now: datetime) -> RunKey:
    """Return the open run of the day to which the letters belong, locked so that it stays open."""
    mailing = letters.step.mailing
    wanted, files = _describe_run(session, mailing, bodies, now)
    run = _find_run(session, letters, wanted, files, now)
    if run is None:
        run = wanted
        session.add(run)
        session.flush()
        add_files(session, run, files)
        session.flush()
    return RunKey(run.id, mailing.id, mailing.owner_id, run.started_at)


def _describe_run(
    session: Session, mailing: Mailing, bodies: NewBodies, now: datetime
) -> tuple[Run, list[RunFile]]:
    """Return the run that the letters need now, not yet stored, and its files."""
    message, source = mailing.message, describe_mailing(mailing)
    run = Run(
        mailing_id=mailing.id,
        started_at=now,
        subject=message.subject,
        format=message.format,
        body=bodies.of(message),
        language=message.language,
        sender_name=source.name,
        sender_address=source.address,
        reply_to=source.reply_to,
        server_id=mailing.sender.server_id if mailing.sender else None,
        topic_id=mailing.topic_id,
        track_clicks=mailing.track_clicks,
        track_opens=mailing.track_opens,
    )
    with session.no_autoflush:
        files = plan_files(session, run, mailing)
    run.state = RunState.SEQUENCE
    run.scheduled_for = _find_time(session, mailing.id, now)
    return run, files


def _find_time(session: Session, mailing_id: int, now: datetime) -> datetime:
    """Return a time that no other run of the mailing has: the beginning of the day, now, or just after."""
    times = select(Run.scheduled_for).where(Run.mailing_id == mailing_id)
    near = or_(Run.scheduled_for == day_of(now), Run.scheduled_for.between(now, now + MAX_RUNS * TICK))
    taken = set(session.scalars(times.where(near)))
    free = (now + number * TICK for number in range(MAX_RUNS))
    return next(time for time in (day_of(now), *free) if time not in taken)


def _find_run(
    session: Session, letters: NewLetters, wanted: Run, files: list[RunFile], now: datetime
) -> Run | None:
    """Return today's run if it has the same content and no letters for these clients yet."""
    statement = select(Run).where(
        Run.mailing_id == wanted.mailing_id,
        Run.state == RunState.SEQUENCE,
        Run.scheduled_for >= day_of(now),
        Run.scheduled_for <= now + MAX_RUNS * TICK,
    )
    # Locked, so that the sweep does not close it before these letters are visible.
    locked = statement.order_by(Run.id.desc()).limit(1).with_for_update(key_share=True)
    run = session.scalar(locked.execution_options(populate_existing=True))
    if run is None or any(getattr(run, name) != getattr(wanted, name) for name in COPIED):
        return None
    if run.file_bytes and _read_files(session, run.id) != [(file.file_id, file.name) for file in files]:
        return None
    if letters.may_repeat:  # some clients have entered again
        same = select(Enrolment.client_id).where(is_in(Enrolment.id, letters.enrolment_ids))
        has_letter = exists().where(Delivery.run_id == run.id, Delivery.client_id.in_(same))
        if session.scalar(select(has_letter)):
            return None
    return run


def _read_files(session: Session, run_id: int) -> list[tuple[int, str]]:
    files = select(RunFile.file_id, RunFile.name).where(RunFile.run_id == run_id).order_by(RunFile.position)
    return [(file_id, name) for file_id, name in session.execute(files).tuples()]
