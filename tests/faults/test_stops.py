"""Test that a run stopped while sending sends nothing after the letters in flight (fault 28)."""

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Mailing, RunState, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.stops import resume, stop
from tests.faults.conftest import WatchPages
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import add_clients, live_run
from tests.processes.service import wait_until
from tests.support.factories import SuppressionFactory, due_mailing

RECIPIENTS = 250
IN_FLIGHT_SECONDS = 2.0  # after the commit: one for a window, and one because the machine may be busy


class SlowSink(Sink):
    """A slow server that can be sped up."""

    is_fast = False

    def delay_reply(self, turn: Turn) -> None:
        if turn.stage is Stage.DOT and not self.is_fast:
            time.sleep(0.05)


@pytest.fixture
def sink() -> Iterator[SlowSink]:
    with SlowSink() as sink:
        sink.script = sink.delay_reply
        yield sink


@pytest.fixture
def worker_environment(environment: dict[str, str], sink: Sink) -> dict[str, str]:
    return environment | {"MAIL_PORT": str(sink.port), "MAIL_MAX_CONNECTIONS": "2"}


@pytest.mark.parametrize(
    "how",
    [
        "pause",
        "cancel",
        # A claim finds no letters, as after a pause.
        pytest.param("disable", marks=pytest.mark.one_engine),
        pytest.param("block", marks=pytest.mark.one_engine),
    ],
)
def test_28_a_stopped_run_sends_nothing_new(
    app: Flask, worker_environment: dict[str, str], session: Session, user: User, sink: SlowSink, how: str
) -> None:
    add_clients(session, user, RECIPIENTS)
    mailing = due_mailing(user)
    with live_run(app, worker_environment, session, mailing) as run:
        wait_until(lambda: len(sink.letters) > 20, "letters arrive")
        with app.app_context():
            stop(db.session.get_one(Mailing, mailing.id), how)
            db.session.commit()
        stopped_at = time.monotonic()
        time.sleep(IN_FLIGHT_SECONDS)
        for _ in range(2):
            run.sweep()
            time.sleep(0.3)

        last = max(at for at, _ in sink.started)
        assert last < stopped_at + IN_FLIGHT_SECONDS, "a letter was sent after those in flight"
        assert len(sink.letters) < RECIPIENTS
        run_row = get_only_run(session)
        counts = count_states(session, run_row)
        assert counts == {
            "sent": len(sink.letters),
            "cancelled" if how == "cancel" else "pending": RECIPIENTS - len(sink.letters),
        }
        check_ledger(session, run_row, sink.letters)
        if how == "cancel":
            assert run_row.state is RunState.CANCELLED
            return

        with app.app_context():
            resume(db.session.get_one(Mailing, mailing.id), how)
            db.session.commit()
        sink.is_fast = True
        run.finish()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert set(sink.per_address().values()) == {1}
    check_ledger(session, get_only_run(session), sink.letters)


def test_28_clients_who_unsubscribe_during_a_run_get_only_letters_in_flight(
    app: Flask,
    worker_environment: dict[str, str],
    session: Session,
    user: User,
    sink: SlowSink,
    watch_pages: WatchPages,
) -> None:
    add_clients(session, user, RECIPIENTS)
    unsubscribed = [f"c{number}@example.org" for number in range(RECIPIENTS // 2, RECIPIENTS)]
    mailing = due_mailing(user)
    with live_run(app, worker_environment, session, mailing) as run, watch_pages(mailing):
        wait_until(lambda: len(sink.letters) > 20, "letters arrive")
        for address in unsubscribed:
            SuppressionFactory.create(owner_id=user.id, email_key=address)
        stopped_at = time.monotonic()
        run.finish()

    for at, address in sink.started:
        assert address not in unsubscribed or at < stopped_at + IN_FLIGHT_SECONDS
    counts = count_states(session, get_only_run(session))
    assert counts["suppressed"] > 0
    assert counts == {"sent": len(sink.letters), "suppressed": RECIPIENTS - len(sink.letters)}
    check_ledger(session, get_only_run(session), sink.letters)


def test_28_nothing_is_sent_after_the_end_of_the_mailing(
    app: Flask, worker_environment: dict[str, str], session: Session, user: User, sink: SlowSink
) -> None:
    add_clients(session, user, RECIPIENTS)
    mailing = due_mailing(user)
    with live_run(app, worker_environment, session, mailing) as run:
        wait_until(lambda: len(sink.letters) > 20, "letters arrive")
        session.execute(update(Mailing).values(ends_at=utcnow()))
        stopped_at = time.monotonic()
        run.finish()

    assert max(at for at, _ in sink.started) < stopped_at + IN_FLIGHT_SECONDS
    counts = count_states(session, get_only_run(session))
    assert counts == {"sent": len(sink.letters), "expired": RECIPIENTS - len(sink.letters)}
    check_ledger(session, get_only_run(session), sink.letters)
