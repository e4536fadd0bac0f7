"""Test that owners take turns: an owner with many or slow runs does not delay other owners."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import hints, jobs, queue, turns, worker
from skymailing.clock import utcnow
from skymailing.delivery import due, plan
from skymailing.models import Delivery, MailingState, Run, RunState, User
from skymailing.turns import Turn
from tests.support.factories import ClientFactory, UserFactory, create_clients, due_mailing
from tests.support.servers import RedisServer, SmtpServer

# Turns are in Redis.
pytestmark = pytest.mark.one_engine

Work = Callable[[], None]


def add_runs(owner_id: int, count: int) -> None:
    turns.add(turns.list_turns([(owner_id, number) for number in range(count)], 2))


def test_an_owner_who_comes_later_is_served_next(app: Flask, session: Session) -> None:
    with app.app_context():
        add_runs(1, 25)
        served = [turns.take() for _ in range(3)]
        turns.add([Turn(2, 100, 0)])

        assert served == [Turn(1, 0, 0), Turn(1, 1, 0), Turn(1, 2, 0)]
        assert turns.take() == Turn(2, 100, 0)


def test_owners_alternate_however_many_runs_they_have(app: Flask, session: Session) -> None:
    with app.app_context():
        add_runs(1, 25)
        add_runs(2, 2)

        owners = [turn.owner_id for _ in range(8) if (turn := turns.take())]

    assert sorted(owners) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_slow_letters_are_charged_to_their_owner(app: Flask, session: Session) -> None:
    """Ten seconds of rendering count as much as ten turns of one second."""
    with app.app_context():
        slow, quick = Turn(1, 1, 0), Turn(2, 2, 0)
        turns.add([slow, quick])
        served: list[Turn] = []
        while len(served) < 13:
            turn = turns.take()
            assert turn is not None
            served.append(turn)
            turns.charge(turn, 10 if turn == slow else 1)
            turns.add([turn])

    assert served.count(slow) == 2


def test_an_inactive_owner_does_not_accumulate_turns(app: Flask, session: Session) -> None:
    with app.app_context():
        turns.add([Turn(2, 9, 0)])
        for _ in range(20):
            add_runs(1, 1)
            turns.take()
        while turns.take():
            pass
        add_runs(1, 4)
        add_runs(2, 4)

        owners = [turn.owner_id for _ in range(6) if (turn := turns.take())]

    assert set(owners[:3]) == set(owners[3:]) == {1, 2}


def test_a_run_waits_only_once(app: Flask, session: Session, redis_server: RedisServer) -> None:
    with app.app_context():
        for _ in range(3):
            add_runs(1, 5)
    assert redis_server.client.zcard(turns.WAITING_KEY) == 10


def start_all(app: Flask, mailing_ids: list[int]) -> None:
    with app.app_context():
        for mailing_id in mailing_ids:
            queue.enqueue("start_mailing", mailing_id)


def test_one_letter_is_sent_before_another_owners_many_mailings(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        worker, "MAX_SYSTEM_SECONDS", 1e9
    )  # so that all mailings start before the first letter is sent
    create_clients(user, 4)
    other = UserFactory.create()
    client = ClientFactory.create(owner=other)
    mailings = [due_mailing(user) for _ in range(12)]
    start_all(app, [mailing.id for mailing in [*mailings, due_mailing(other)]])

    work()

    addresses = [letter.recipients[0] for letter in smtp.letters]
    assert len(addresses) == 12 * 4 + 1
    assert addresses.index(client.email) <= 2 * 4


@pytest.mark.both_engines
def test_only_some_runs_of_an_owner_are_sent_at_the_same_time(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work
) -> None:
    create_clients(user, 1)
    mailings = [due_mailing(user) for _ in range(12)]
    with app.app_context():
        started = [plan.start_due_run(mailing.id, utcnow()) for mailing in mailings]
        assert [bool(run_id) for run_id in started] == [True] * 10 + [False] * 2
        assert due.find_mailings(utcnow()) == []
        mailings[0].state = MailingState.PAUSED
        session.flush()
        assert due.find_mailings(utcnow()) == [mailings[10].id]
        hints.hint_run(started[1] or 0)

    work()  # when a run ends, the next one starts

    assert all(session.scalars(select(Run.id).where(Run.mailing_id == mailing.id)) for mailing in mailings)
    assert session.scalars(select(Run.state).where(Run.mailing_id == mailings[11].id)).all() == [
        RunState.FINISHED
    ]


def test_a_slice_of_a_run_goes_first_after_many_small_jobs(
    app: Flask, session: Session, smtp: SmtpServer, user: User, monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    monkeypatch.setattr(worker, "MAX_SYSTEM_SECONDS", 0)
    create_clients(user, 1)
    with app.app_context():
        run_id = plan.start_due_run(due_mailing(user).id, utcnow())
        assert run_id
        hints.hint_run(run_id)
        monkeypatch.setattr(plan, "start_due_run", lambda *_: seen.append(len(smtp.letters)))
        for _ in range(3):
            queue.enqueue("start_mailing", 0)
    seen: list[int] = []

    work()

    assert seen == [0, 1, 1]


@pytest.mark.both_engines
def test_waiting_turns_without_a_job_are_found_by_the_sweep(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work, redis_server: RedisServer
) -> None:
    create_clients(user, 1)
    with app.app_context():
        run_id = plan.start_due_run(due_mailing(user).id, utcnow())
        assert run_id
        hints.hint_run(run_id)
        redis_server.client.delete("rq:queue:delivery")
        redis_server.client.delete("skymailing:hint:turn-0")

        jobs.sweep()
    work()

    assert session.scalars(select(Delivery.state)).all() == ["sent"]
