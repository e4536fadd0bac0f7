"""Report the results of letters: in order, each once, in calls of up to 500, from the log of attempts."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import create_engine, delete, insert, select
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    Attempt,
    DeliveryState,
    EventType,
    Outcome,
    Run,
    User,
    WebhookEndpoint,
    WebhookEvent,
)
from skymailing.webhooks import letters, services, tasks
from tests.support.factories import (
    AttemptFactory,
    DeliveryFactory,
    MailingFactory,
    UserFactory,
    create_clients,
    create_run,
    due_mailing,
)
from tests.support.servers import SmtpServer
from tests.webhooks.conftest import SECRET, Hooks, MakeEndpoint
from tests.webhooks.receiver import OK, Receiver, response_of, send

LETTERS = EventType.LETTERS_CHANGED
PERSON = Actor(None, "test")


def add_attempts(run: Run, count: int) -> list[Attempt]:
    """Add letters of a run with one attempt each."""
    clients = create_clients(run.mailing.owner, count)
    deliveries = DeliveryFactory.insert([DeliveryFactory.build(run=run, client=client) for client in clients])
    return AttemptFactory.insert([AttemptFactory.build(delivery=delivery) for delivery in deliveries])


def read_reported(receiver: Receiver) -> list[int]:
    """Return the IDs of the attempts in all calls, in order."""
    return [letter["id"] for request in receiver.requests for letter in request.event["data"]["letters"]]


@pytest.fixture
def run(user: User) -> Run:
    return create_run(MailingFactory.create(owner=user), {})


def test_letters_are_reported_in_order_and_once(hooks: Hooks, run: Run) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port, LETTERS)
    add_attempts(create_run(MailingFactory.create(owner=UserFactory.create()), {}), 3)
    expected = [attempt.id for attempt in add_attempts(run, 1201)]

    hooks.send_calls()
    hooks.send_calls()

    assert read_reported(hooks.receiver) == expected
    assert [len(request.event["data"]["letters"]) for request in hooks.receiver.requests] == [500, 500, 201]
    assert len(set(hooks.receiver.ids)) == 3
    hooks.receiver.requests[0].verify(SECRET)

    more = [attempt.id for attempt in add_attempts(run, 2)]
    hooks.send_calls()
    assert read_reported(hooks.receiver) == expected + more


def test_an_entry_has_the_servers_reply(hooks: Hooks, run: Run) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port, LETTERS)
    delivery = DeliveryFactory.create(run=run, state=DeliveryState.FAILED)
    reply = {"outcome": Outcome.FAILED, "code": 550, "answer": "5.1.1 Нет такого"}
    attempt = AttemptFactory.create(delivery=delivery, number=2, **reply)

    hooks.send_calls()

    ((entry,),) = [request.event["data"]["letters"] for request in hooks.receiver.requests]
    assert entry.pop("at").endswith("Z")
    assert entry == {
        "id": attempt.id,
        "delivery_id": delivery.id,
        "mailing_id": run.mailing_id,
        "run_id": run.id,
        "email": delivery.email,
        "number": 2,
        "outcome": "failed",
        "code": 550,
        "answer": "5.1.1 Нет такого",
    }


def test_a_refused_call_holds_back_the_following_ones(hooks: Hooks, run: Run, session: Session) -> None:
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port, LETTERS)
    expected = [attempt.id for attempt in add_attempts(run, 700)]
    hooks.receiver.respond_with(response_of(500))
    hooks.send_calls()
    assert len(hooks.receiver.requests) == 1

    hooks.receiver.respond = lambda connection, _request: send(connection, OK)
    with time_machine.travel(utcnow() + timedelta(minutes=1)):
        hooks.send_calls()

    first, second, _third = hooks.receiver.requests
    assert (first.id, first.body) == (second.id, second.body)
    assert read_reported(hooks.receiver) == expected[:500] + expected
    session.refresh(endpoint)
    assert endpoint.letters_cursor == expected[-1]


def test_only_letters_after_the_choice_are_reported(hooks: Hooks, app: Flask, run: Run) -> None:
    add_attempts(run, 3)
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port, EventType.RUN_FINISHED)
    with app.app_context():
        values = services.EndpointValues(endpoint.url, [LETTERS])
        services.change_endpoint(db.session.get_one(WebhookEndpoint, endpoint.id), values, PERSON)
        db.session.commit()
    expected = [attempt.id for attempt in add_attempts(run, 2)]

    hooks.send_calls()

    assert read_reported(hooks.receiver) == expected


@pytest.mark.only_on("postgresql", reason="on SQLite, transactions that write are one after another")
def test_attempts_of_a_transaction_that_commits_later_are_not_skipped(
    hooks: Hooks, app: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "POLL_SECONDS", 0.01)
    hooks.make_endpoint(hooks.user, hooks.receiver.port, LETTERS)
    (template,) = add_attempts(run, 1)
    columns = {c.name: getattr(template, c.name) for c in Attempt.__table__.columns if c.name != "id"}
    with app.app_context():
        engine = create_engine(db.engine.url)
    with engine.connect() as slow:
        slow.execute(insert(Attempt).values(columns | {"number": 2}))
        early = slow.execute(select(Attempt.id).where(Attempt.number == 2)).scalar_one()
        late = add_attempts(run, 1)[0]
        assert early < late.id
        with app.app_context():
            for _ in range(3):
                assert not letters.add_call(letters.list_waiting_endpoints()[0], utcnow())
                db.session.commit()
        slow.commit()
    engine.dispose()

    hooks.send_calls()

    assert read_reported(hooks.receiver) == [template.id, early, late.id]


@pytest.mark.only_on("sqlite", reason="only SQLite gives the IDs of removed rows again")
def test_ids_of_removed_attempts_that_are_given_again_are_reported(
    hooks: Hooks, app: Flask, session: Session, run: Run
) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port, LETTERS)
    attempts = add_attempts(run, 3)
    hooks.send_calls()
    session.execute(delete(Attempt).where(Attempt.id >= attempts[1].id))
    session.expunge_all()
    with app.app_context():
        assert not tasks.has_work()
    again = AttemptFactory.create(delivery=DeliveryFactory.create(run=session.merge(run)))
    assert again.id == attempts[1].id

    hooks.send_calls()

    assert read_reported(hooks.receiver)[-1] == again.id


def test_a_mailing_is_reported_while_it_is_sent(
    app: Flask,
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    smtp: SmtpServer,
    work: Callable[[], None],
    session: Session,
) -> None:
    make_endpoint(user, receiver.port, LETTERS)
    create_clients(user, 30)
    mailing = due_mailing(user)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    with app.app_context():
        jobs.sweep()
    work()

    assert sorted(read_reported(receiver)) == sorted(session.scalars(select(Attempt.id)))
    events = session.scalars(select(WebhookEvent)).all()
    assert len(events) == 1, "an event has up to 500 letters"


def test_the_data_of_removed_runs_is_missing(hooks: Hooks, app: Flask, session: Session, run: Run) -> None:
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port, LETTERS)
    attempts = add_attempts(run, 3)
    with app.app_context():
        assert letters.add_call(endpoint.id, utcnow())
        db.session.commit()
    session.execute(delete(Attempt).where(Attempt.id == attempts[0].id))

    hooks.send_calls()

    assert read_reported(hooks.receiver) == [attempt.id for attempt in attempts[1:]]
