"""Record what happens to clients and mailings, once, in the transaction of the change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.clients import opt_outs
from skymailing.clients.opt_outs import find_undoable
from skymailing.clients.suppression import suppress
from skymailing.clock import utcnow
from skymailing.delivery.recovery import sweep as recovery
from skymailing.extensions import db
from skymailing.mailings.services import pause_mailing
from skymailing.models import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    RunLink,
    SuppressionReason,
    User,
    WebhookEvent,
)
from skymailing.outbox.signup_letters import make_signup_token
from skymailing.signup.confirmation import confirm_signup
from skymailing.signup.protection import Visitor
from skymailing.tracking import machines
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import NotedHit, note
from tests.delivery.tested import click, list_sample, plan_tested
from tests.returns.scenes import Desk
from tests.security.object_factories import make_signup
from tests.support.factories import MailingFactory, UserFactory, create_clients, create_run, due_mailing
from tests.support.servers import SmtpServer
from tests.support.signup_factories import TopicFactory
from tests.support.statements import record_statements
from tests.webhooks.conftest import MakeEndpoint

ADDRESS = "anna@example.com"
Work = Callable[[], None]


@pytest.fixture(autouse=True)
def _endpoint(make_endpoint: MakeEndpoint, user: User) -> None:
    """An endpoint that wants everything; nothing is sent to it."""
    make_endpoint(user, paused_until=utcnow() + timedelta(days=1))


@pytest.fixture
def read(session: Session) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """Return a function that reads the events, oldest first."""

    def read_events() -> list[tuple[str, dict[str, Any]]]:
        rows = session.execute(select(WebhookEvent.type, WebhookEvent.data).order_by(WebhookEvent.id))
        return list(rows.tuples())

    return read_events


Read = Callable[[], list[tuple[str, dict[str, Any]]]]


def test_unsubscribing_and_its_undo(app: Flask, user: User, read: Read) -> None:
    now = utcnow()
    with app.app_context():
        opt_outs.opt_out(user.id, ADDRESS, None, now)
        opt_outs.opt_out(user.id, ADDRESS, None, now + timedelta(seconds=1))  # changes nothing
        found = find_undoable(user.id, ADDRESS, None, now)
        assert found
        opt_outs.undo(user.id, ADDRESS, found.id, now)
        db.session.commit()
    data = {"email": ADDRESS, "topic_id": None, "run_id": None}
    assert read() == [("client.unsubscribed", data), ("client.resubscribed", data)]


def test_leaving_topics(app: Flask, user: User, read: Read) -> None:
    first, second = (TopicFactory.create(owner=user, name=name) for name in ("News", "Offers"))
    with app.app_context():
        opt_outs.opt_out(user.id, ADDRESS, first.id, utcnow())
        opt_outs.save_choices(user.id, ADDRESS, {first.id: True, second.id: False}, utcnow())
        db.session.commit()
    assert [(name, data["topic_id"]) for name, data in read()] == [
        ("client.unsubscribed", first.id),
        ("client.unsubscribed", second.id),
    ]


def test_an_owner_excludes_an_address(app: Flask, user: User, read: Read) -> None:
    for _ in range(2):
        with app.app_context():
            suppress(user.id, ADDRESS, SuppressionReason.MANUAL, "asked by phone", utcnow())
            db.session.commit()
    data = {"email": ADDRESS, "reason": "manual", "note": "asked by phone"}
    assert read()[0] == ("client.suppressed", data)


def test_a_confirmed_subscription(app: Flask, user: User, session: Session, read: Read) -> None:
    signup = make_signup(user)
    signup.values = {"full_name": "Анна"}
    session.flush()
    with app.app_context():
        token = make_signup_token(signup)
        for _ in range(2):
            confirm_signup(token, signup.form.uuid, Visitor("192.0.2.1"), utcnow())
            db.session.commit()
    ((name, data),) = read()
    assert (name, data["email"], data["values"]) == ("client.confirmed", signup.email, {"full_name": "Анна"})
    assert (data["form_id"], data["form_uuid"]) == (signup.form_id, signup.form.uuid)


def test_bounces_and_complaints(app: Flask, session: Session, user: User, read: Read) -> None:
    desk = Desk(app, session, user)
    gone, annoyed = desk.send(), desk.send()
    desk.ingest_together(desk.bounce(gone), desk.bounce(gone, "550 5.1.1 again"), desk.complain(annoyed))
    events = sorted(read(), key=lambda event: event[0])
    assert [name for name, _data in events] == ["bounce.received", "client.complained", "client.suppressed"]
    (_, bounce), (_, complaint), (_, suppressed) = events
    assert (bounce["email"], bounce["kind"], bounce["delivery_id"]) == (gone.email_key, "hard", gone.id)
    assert (complaint["email"], complaint["run_id"]) == (annoyed.email_key, annoyed.run_id)
    assert (suppressed["email"], suppressed["reason"]) == (gone.email_key, "bounced")


def test_a_mailing_from_its_start_to_its_end(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work, read: Read
) -> None:
    clients = create_clients(user, 3)
    smtp.rcpt_replies[clients[0].email] = "550 5.1.1 user unknown"
    mailing = due_mailing(user, name="Осень")
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    names = [name for name, _data in read()]
    assert names == ["mailing.started", "client.suppressed", "run.finished", "mailing.finished"]
    events = dict(read())
    subject = {"id": mailing.id, "name": "Осень"}
    assert events["mailing.started"]["mailing"] == subject
    assert events["mailing.started"]["planned"] == 3
    assert events["client.suppressed"]["email"] == clients[0].email_key
    run = events["run.finished"]
    assert (run["state"], run["planned"], run["mailing"]) == ("finished", 3, subject)
    assert (run["letters"]["sent"], run["letters"]["failed"], sum(run["letters"].values())) == (2, 1, 3)
    assert events["mailing.finished"] == {"mailing": subject, "reason": ""}


def test_mailings_that_end_without_a_run(app: Flask, session: Session, user: User, read: Read) -> None:
    past = utcnow() - timedelta(minutes=1)
    states = (MailingState.SCHEDULED, MailingState.PAUSED)
    mailings = [MailingFactory.create(owner=user, state=state, ends_at=past) for state in states]
    session.commit()
    with app.app_context():
        for _ in range(2):
            recovery.finish_expired_mailings(utcnow())
    events = [
        ("mailing.finished", {"mailing": {"id": mailing.id, "name": mailing.name}, "reason": "window-over"})
        for mailing in mailings
    ]
    assert sorted(read(), key=lambda event: event[1]["mailing"]["id"]) == events


def test_a_paused_mailing(app: Flask, user: User, read: Read) -> None:
    mailing_id = due_mailing(user, name="Осень").id
    with app.app_context():
        mailing = db.session.get_one(Mailing, mailing_id)
        pause_mailing(mailing, utcnow())
        pause_mailing(mailing, utcnow())
        db.session.commit()
    data = {"mailing": {"id": mailing_id, "name": "Осень"}, "reason": "", "detail": ""}
    assert read() == [("mailing.paused", data)]


def test_too_many_dead_addresses_pause_all_mailings(
    app: Flask, user: User, smtp: SmtpServer, work: Work, read: Read
) -> None:
    due_mailing(user)
    other = due_mailing(user, next_run_at=utcnow() + timedelta(hours=1))
    for client in create_clients(user, 400)[8:200:8]:
        smtp.rcpt_replies[client.email] = "550 5.1.1 user unknown"
    with app.app_context():
        jobs.sweep()
    work()
    paused = [data for name, data in read() if name == "mailing.paused"]
    assert len(paused) == 2
    assert {data["reason"] for data in paused} == {"too-many-bounces"}
    assert other.id in {data["mailing"]["id"] for data in paused}


def test_a_decided_test(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Work, read: Read
) -> None:
    create_clients(user, 40)
    mailing = plan_tested(user, session)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    (run,) = mailing.runs
    click(session, run, list_sample(session, run, 2))
    assert run.test_ends_at
    with time_machine.travel(run.test_ends_at + timedelta(seconds=1)), app.app_context():
        jobs.run_sweep(utcnow())
    decided = dict(read())["test.decided"]
    assert (decided["run_id"], decided["winner"]) == (run.id, 2)
    assert decided["mailing"]["id"] == mailing.id


def test_clicks_are_reported_together(app: Flask, session: Session, user: User, read: Read) -> None:
    mine = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 3})
    others = create_run(MailingFactory.create(owner=UserFactory.create()), {DeliveryState.SENT: 1})
    at = to_milliseconds(utcnow())
    with app.app_context():
        for run in (mine, others):
            session.add(RunLink(run_id=run.id, number=1, url="https://shop.example/1"))
            session.flush()
            for number, delivery in enumerate(find_deliveries(session, run.id)):
                note(NotedHit(run.id, delivery.id, 1, at + 60_000 * number, machines.Visitor.PERSON))
        fold_hits(utcnow())
        fold_hits(utcnow())
    ((name, data),) = read()
    assert name == "clicks.counted"
    assert len(data["clicks"]) == 3
    entry = data["clicks"][0]
    assert (entry["run_id"], entry["link"], entry["url"]) == (mine.id, 1, "https://shop.example/1")
    assert (entry["clicks"], entry["machine_clicks"]) == (1, 0)
    assert "@" in entry["email"]


def find_deliveries(session: Session, run_id: int) -> list[Any]:
    return list(session.scalars(select(Delivery).where(Delivery.run_id == run_id).order_by(Delivery.id)))


def test_nothing_is_recorded_when_the_change_is_undone(app: Flask, user: User, read: Read) -> None:
    with app.app_context():
        opt_outs.opt_out(user.id, ADDRESS, None, utcnow())
        db.session.rollback()
    assert read() == []


def test_sending_letters_writes_nothing_for_webhooks(
    app: Flask, user: User, smtp: SmtpServer, work: Work
) -> None:
    """A run of 300 letters has as many statements about webhooks as one of three."""
    counts = []
    for clients in (3, 300):
        owner = UserFactory.create()
        create_clients(owner, clients)
        mailing = due_mailing(owner)
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        with record_statements() as statements:
            work()
        counts.append(sum("webhook_" in statement for statement in statements))
    assert counts[0] == counts[1] <= 3
