"""Benchmark sequences: a million due clients, an idle sweep, and the delay of a welcome letter."""

import resource
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing import hints
from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.delivery.sequences import sweep
from skymailing.delivery.sequences.entering import signal_confirmation
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Enrolment,
    Message,
    MessageFormat,
    Sequence,
    SignupForm,
    Trigger,
    User,
)
from skymailing.sequences import services, steps
from skymailing.sequences.values import SequenceValues, StepValues

REQUIRED_RATE, REQUIRED_IDLE, REQUIRED_WELCOME = 20_000, 0.05, 5.0
SWEEPS, WELCOMES = 20, 5
MEGABYTE = 1024  # in the units of ru_maxrss
ENTER_ALL = """
INSERT INTO enrolments (sequence_id, client_id, entry, state, step_id, due_at, entered_at)
SELECT :sequence, id, 1, 'active', :step, :due, :due FROM clients ORDER BY id
"""


def sequences(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure how fast due clients are processed, the cost of an idle sweep, and a welcome letter's delay."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            owner_id = service.add_owner(sizes.many)
            service.skip_indexing()
            yield measure_welcome(service, owner_id, database)
            service.pause_workers()
            with service.app.app_context():
                yield measure_idle(service, owner_id, sizes.many, database)
                yield measure_due(service, owner_id, sizes.many, database)


def add_sequence(owner_id: int, trigger: Trigger, form_id: int | None = None) -> Sequence:
    """Create a running sequence of two emails."""
    owner, now = db.session.get_one(User, owner_id), utcnow()
    message = Message(owner_id=owner_id, subject="Welcome, {{ name }}", body="Hello, {{ name }}!")
    message.format = MessageFormat.MARKDOWN
    db.session.add(message)
    db.session.flush()
    sequence = services.create_sequence(owner, SequenceValues("Welcome", trigger, form_id), now)
    for days in (0, 3):
        steps.add_step(sequence, StepValues(message.id, days), now)
    services.start_sequence(sequence, now, Actor(None, "bench"))
    db.session.commit()
    return sequence


def enter_all(service: Service, sequence: Sequence, due_at: datetime) -> None:
    """Enrol all clients, who then wait for the first email."""
    step_id = services.list_all_steps(sequence)[0].id
    values = {"sequence": sequence.id, "step": step_id, "due": due_at}
    db.session.rollback()
    with Session(service.engine) as session, session.begin():
        session.execute(text(ENTER_ALL).bindparams(**values))
    with service.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def measure_idle(service: Service, owner_id: int, count: int, database: str) -> Row:
    """Measure a sweep that finds nothing to do because no client is due yet."""
    enter_all(service, add_sequence(owner_id, Trigger.MANUAL), utcnow() + timedelta(days=9))
    times = []
    for _ in range(SWEEPS):
        start = time.perf_counter()
        if sweep.has_work(utcnow()):
            raise MeasurementFailed("nothing should be due")
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    return Row(
        f"idle sweep with {count:,} clients in a sequence, {database}",
        f"{seconds * 1000:.1f} ms",
        f"<= {REQUIRED_IDLE * 1000:.0f} ms",
        "",
        seconds <= REQUIRED_IDLE,
        {"seconds": seconds},
    )


def measure_due(service: Service, owner_id: int, count: int, database: str) -> Row:
    """Measure how many due clients' letters are planned per second, and the memory needed."""
    db.session.execute(text("UPDATE sequences SET state = 'paused'"))
    db.session.commit()
    sequence = add_sequence(owner_id, Trigger.MANUAL)
    enter_all(service, sequence, utcnow() - timedelta(minutes=1))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    sweep.run_due(utcnow())
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / MEGABYTE
    waiting = (Enrolment.sequence_id == sequence.id) & (Enrolment.due_at > utcnow())
    planned = db.session.scalar(select(func.count()).where(Delivery.state == DeliveryState.PENDING))
    if planned != count or db.session.scalar(select(func.count()).where(waiting)) != count:
        raise MeasurementFailed(f"{planned} of {count} letters were planned")
    rate = count / seconds
    return Row(
        f"{count:,} due clients of a sequence, {database}",
        f"{rate:,.0f} per second, {grown:.0f} MB more memory",
        f"{REQUIRED_RATE:,} per second",
        "",
        rate >= REQUIRED_RATE,
        {"rate": rate, "seconds": seconds, "grown_megabytes": grown},
    )


def measure_welcome(service: Service, owner_id: int, database: str) -> Row:
    """Measure the time from a confirmation until the mail server has accepted the welcome letter."""
    times = []
    with service.app.app_context():
        form = SignupForm(owner_id=owner_id, name="Form", consent_text="Yes")
        db.session.add(form)
        db.session.flush()
        form_id = form.id
        add_sequence(owner_id, Trigger.FORM, form_id=form_id)
        ids = db.session.scalars(select(Client.id).where(Client.owner_id == owner_id).limit(WELCOMES)).all()
        for number, client_id in enumerate(ids, start=1):
            start = time.perf_counter()
            signal_confirmation(db.session.connection(), form_id, client_id)
            db.session.commit()
            hints.hint_sequences()
            sent = select(func.count()).where(Delivery.state == DeliveryState.SENT)
            while (db.session.scalar(sent) or 0) < number:
                db.session.rollback()
                if time.perf_counter() - start > 60:
                    raise MeasurementFailed("the welcome letter was not sent")
                time.sleep(0.01)
            db.session.rollback()
            times.append(time.perf_counter() - start)
    return Row(
        f"welcome letter after a confirmation, {database}",
        f"{statistics.median(times):.2f} s, at most {max(times):.2f} s",
        f"<= {REQUIRED_WELCOME:.0f} s",
        "",
        max(times) <= REQUIRED_WELCOME,
        {"seconds": times},
    )


ROWS = {"sequences": sequences}
