"""Test that the ledger of transactional letters closes after faults and at midnight."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.delivery import due
from skymailing.delivery.ledger import claims
from skymailing.delivery.ledger.open_runs import load_open_run
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.letters import services
from skymailing.models import (
    Delivery,
    DeliveryState,
    LetterContent,
    Mailing,
    MailingState,
    Run,
    RunState,
    StateReason,
    TransactionalLetter,
    User,
)
from tests.api.conftest import Program
from tests.delivery.ledger import check_ledger, count_states
from tests.delivery.worker import Worker, read_journals
from tests.letters.conftest import CloseDay, Send
from tests.support.letter_factories import create_letter, new_letter
from tests.support.servers import SmtpServer

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
Work = Callable[[], None]


def get_runs(session: Session) -> list[Run]:
    session.expire_all()
    return list(session.scalars(select(Run).order_by(Run.id)))


@pytest.mark.parametrize("has_reply", [True, False])
def test_the_day_closes_after_a_worker_was_killed(
    app: Flask, session: Session, user: User, smtp: SmtpServer, close_day: CloseDay, has_reply: bool
) -> None:
    """One that was killed after the hand-over leaves its results, or unknown letters, as in mailings."""
    for number in range(3):
        create_letter(user, f"c{number}@example.org")
    worker = Worker(app, get_runs(session)[0].id)
    worker.claim()
    if has_reply:
        worker.write_journal(worker.make_results(Verdict.SENT))
    else:
        for result in worker.make_results(Verdict.SENT):
            worker.journal.begin(result.letter)
    worker.die()
    read_journals(app)
    states = count_states(session, get_runs(session)[0])
    assert states == ({"sent": 3} if has_reply else {"unknown": 3})
    worker.journal.path.unlink(missing_ok=True)
    with time_machine.travel(utcnow() + timedelta(days=1)), app.app_context():
        jobs.run_sweep(utcnow())
    (run,) = get_runs(session)
    assert (run.state, run.planned) == (RunState.FINISHED, 3)


def test_each_day_has_a_run_which_ends_after_midnight(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work
) -> None:
    with time_machine.travel(NOON):
        create_letter(user, "monday@example.org")
        with app.app_context():
            jobs.sweep()
        work()
        assert [run.state for run in get_runs(session)] == [RunState.TRANSACTIONAL]  # more may come today
    with time_machine.travel(NOON + timedelta(days=1)):
        create_letter(user, "tuesday@example.org")
        with app.app_context():
            jobs.sweep()
        work()
    first, second = get_runs(session)
    assert (first.state, second.state) == (RunState.FINISHED, RunState.TRANSACTIONAL)
    assert first.scheduled_for == NOON.replace(hour=0)
    for run in (first, second):
        day = "monday" if run is first else "tuesday"
        check_ledger(session, run, [letter for letter in smtp.letters if letter.to.startswith(day)])
    assert session.execute(select(Mailing)).scalar_one().state is MailingState.RUNNING


def test_a_letter_that_cannot_be_sent_expires(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work
) -> None:
    create_letter(user)
    session.execute(update(Mailing).values(state=MailingState.PAUSED))
    with time_machine.travel(utcnow() + timedelta(days=3)), app.app_context():
        jobs.run_sweep(utcnow())
    assert [run.state for run in get_runs(session)] == [RunState.TRANSACTIONAL]
    with time_machine.travel(utcnow() + timedelta(days=5)), app.app_context():
        jobs.run_sweep(utcnow())
    (run,) = get_runs(session)
    assert run.state is RunState.FINISHED
    check_ledger(session, run, [])
    assert count_states(session, run) == {"expired": 1}


def test_requests_that_race_for_the_first_letter_share_a_run(
    app: Flask, session: Session, user: User
) -> None:
    barrier, owner_id = Barrier(4, timeout=30), user.id

    def add(number: int) -> None:
        barrier.wait()
        with app.app_context():
            owner = db.session.get_one(User, owner_id)
            services.add_letter(owner, new_letter(owner, f"c{number}@example.org"), utcnow())
            db.session.commit()

    threads = [Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (run,) = get_runs(session)
    assert run.planned == 4
    assert session.scalar(select(func.count()).select_from(Mailing)) == 1
    check_ledger(session, run, [])


@pytest.mark.only_on("postgresql")  # SQLite has a single writer
def test_a_run_does_not_end_while_a_letter_is_being_added(app: Flask, session: Session, user: User) -> None:
    with time_machine.travel(NOON, tick=False):
        create_letter(user)
        session.execute(update(Delivery).values(state=DeliveryState.CANCELLED))
        with app.app_context():
            owner = db.session.get_one(User, user.id)
            services.add_letter(owner, new_letter(owner, "late@example.org"), utcnow())
            closing = Thread(target=close, args=(app, get_runs(session)[0].id))
            closing.start()
            closing.join(0.3)
            assert closing.is_alive()
            db.session.commit()
        closing.join()
    assert [run.state for run in get_runs(session)] == [RunState.TRANSACTIONAL]


def close(app: Flask, run_id: int) -> None:
    from skymailing.delivery import plan

    with app.app_context():
        plan.finish_run(run_id, NOON + timedelta(days=1))


def test_after_a_pause_programs_are_refused_until_the_owner_resumes(
    program: Program,
    session: Session,
    user: User,
    send: Send,
    smtp: SmtpServer,
    work: Work,
    browser: FlaskClient,
) -> None:
    waiting = send()
    paused = {"state": MailingState.PAUSED, "state_reason": StateReason.TOO_MANY_COMPLAINTS + ": 3/1000"}
    session.execute(update(Mailing).values(paused))
    work()
    assert smtp.letters == []
    assert send(409)["code"] == "letters_paused"
    assert "are paused" in browser.get("/letters/").text
    browser.post("/letters/resume")
    work()
    assert program.read(f"/letters/{waiting['id']}")["state"] == "sent"
    send()


def test_an_older_version_finds_no_letters_to_cancel(app: Flask, session: Session, user: User) -> None:
    """It takes only runs in the states that it knows, and fails on a run with another one."""
    create_letter(user)
    (run,) = get_runs(session)
    assert run.state.value not in (
        "planned",
        "sending",
        "routed",
        "tested",
        "attached",
        "finished",
        "cancelled",
        "skipped",
    )


def test_letters_do_not_count_as_mailings_in_progress(app: Flask, session: Session, user: User) -> None:
    create_letter(user)
    with app.app_context():
        (run,) = get_runs(session)
        assert due.find_runs(utcnow()) == [(user.id, run.id)]
        assert due.find_runs(utcnow(), within_limits=False) == []


def test_a_letter_that_lost_its_values_is_cancelled(app: Flask, session: Session, user: User) -> None:
    create_letter(user)
    session.query(TransactionalLetter).delete()
    with app.app_context(), db.engine.begin() as connection:
        run = load_open_run(connection, get_runs(session)[0].id, utcnow())
        assert run is not None
        assert claims.claim(connection, run, "token", utcnow() + timedelta(minutes=3), 10, utcnow()) == []
    assert session.scalar(select(Delivery.state)) is DeliveryState.CANCELLED
    assert session.scalar(select(func.count()).select_from(LetterContent)) == 1
