"""Test who gets the mailings of a topic, from planning to handing over."""

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan, send
from skymailing.delivery.audience.segments import compile_segment
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.extensions import db
from skymailing.mailings import resending
from skymailing.models import (
    Audience,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingAudience,
    MailingState,
    Run,
    RunState,
    Segment,
    Topic,
    User,
    mailing_clients,
)
from tests.delivery.conftest import Start
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.test_held_claims import WINDOW, after_claim
from tests.delivery.worker import NewWorker
from tests.support.factories import ClientFactory, DeliveryFactory, RunFactory, UserFactory, due_mailing
from tests.support.servers import SmtpServer
from tests.support.signup_factories import TopicChoiceFactory, TopicFactory

NAMES = ("anna", "boris", "clara")


@pytest.fixture
def people(user: User) -> dict[str, Client]:
    return {name: ClientFactory.create(owner=user, email=f"{name}@example.org") for name in NAMES}


@pytest.fixture
def news(user: User) -> Topic:
    return TopicFactory.create(owner=user)


def record_choice(topic: Topic, client: Client, **values: bool) -> None:
    TopicChoiceFactory.create(topic=topic, email_key=client.email_key, **values)


def addresses(*names: str) -> dict[str, int]:
    return {f"{name}@example.org": 1 for name in names}


def test_all_get_a_topic_except_those_who_unsubscribed_from_it(
    session: Session, user: User, people: dict[str, Client], news: Topic, start: Start, smtp: SmtpServer
) -> None:
    other = TopicFactory.create(owner=user, name="Offers")
    record_choice(news, people["anna"])
    record_choice(other, people["boris"])
    record_choice(news, people["clara"], is_joined=True)
    start(due_mailing(user, topic_id=news.id))
    assert smtp.per_address() == addresses("boris", "clara")
    run = get_only_run(session)
    assert (run.planned, run.topic_id) == (2, news.id)
    assert run.audience == {
        "audience": "all",
        "topic": {"topic": news.id, "name": "News"},
        "include": [],
        "exclude": [],
    }


def test_only_subscribers_get_an_opt_in_topic(
    user: User, people: dict[str, Client], start: Start, smtp: SmtpServer
) -> None:
    digest = TopicFactory.create(owner=user, is_opt_in=True)
    record_choice(digest, people["anna"], is_joined=True)
    record_choice(digest, people["boris"])
    start(due_mailing(user, topic_id=digest.id))
    assert smtp.per_address() == addresses("anna")


@pytest.mark.parametrize("audience", [Audience.SELECTED, Audience.SEGMENTS])
def test_a_topic_also_limits_other_audiences(
    session: Session,
    user: User,
    people: dict[str, Client],
    news: Topic,
    start: Start,
    smtp: SmtpServer,
    audience: Audience,
) -> None:
    mailing = due_mailing(user, topic_id=news.id, audience=audience)
    session.execute(
        insert(mailing_clients),
        [{"mailing_id": mailing.id, "client_id": people[name].id} for name in ("anna", "boris")],
    )
    conditions = {"field": "email", "op": "in", "value": ["anna@example.org", "boris@example.org"]}
    segment = Segment(owner_id=user.id, name="two", conditions=conditions)
    session.add(segment)
    session.flush()
    session.add(MailingAudience(mailing_id=mailing.id, position=0, is_excluded=False, segment_id=segment.id))
    session.flush()
    record_choice(news, people["anna"])
    start(mailing)
    assert smtp.per_address() == addresses("boris")


def test_a_client_who_unsubscribes_between_planning_and_sending_gets_no_letter(
    app: Flask,
    session: Session,
    user: User,
    people: dict[str, Client],
    news: Topic,
    smtp: SmtpServer,
) -> None:
    mailing = due_mailing(user, topic_id=news.id)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id
        record_choice(news, people["anna"])
        send.send_slice(run_id, lambda _seconds: False)
    run = get_only_run(session)
    assert smtp.per_address() == addresses("boris", "clara")
    assert count_states(session, run) == {"sent": 2, "suppressed": 1}
    check_ledger(session, run, smtp.letters)


def test_a_client_who_unsubscribes_during_a_held_claim_gets_no_letter(
    app: Flask,
    session: Session,
    user: User,
    people: dict[str, Client],
    news: Topic,
    smtp: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], window_seconds=WINDOW))

    def act() -> None:
        record_choice(news, people["anna"])
        time.sleep(WINDOW)

    with app.app_context():
        close_dispatcher()
        run_id = plan.start_due_run(due_mailing(user, topic_id=news.id).id, utcnow())
        assert run_id
        with after_claim(session, act):
            send.send_slice(run_id, lambda _seconds: False)
    assert smtp.per_address() == addresses("boris", "clara")
    assert count_states(session, get_only_run(session)) == {"sent": 2, "suppressed": 1}


def test_a_client_who_unsubscribes_after_a_worker_was_killed_gets_no_letter(
    session: Session,
    people: dict[str, Client],
    news: Topic,
    new_worker: NewWorker,
    sweep: Callable[[], None],
    smtp: SmtpServer,
) -> None:
    worker = new_worker(topic_id=news.id)
    worker.claim()
    worker.die()
    record_choice(news, people["clara"])
    sweep()
    run = get_only_run(session)
    assert smtp.per_address() == addresses("anna", "boris")
    assert (run.state, count_states(session, run)) == (RunState.FINISHED, {"sent": 2, "suppressed": 1})
    check_ledger(session, run, smtp.letters)


def test_unsent_letters_are_stopped_if_their_topic_becomes_opt_in(
    app: Flask, session: Session, user: User, people: dict[str, Client], news: Topic, smtp: SmtpServer
) -> None:
    with app.app_context():
        run_id = plan.start_due_run(due_mailing(user, topic_id=news.id).id, utcnow())
        assert run_id
        record_choice(news, people["anna"], is_joined=True)
        news.is_opt_in = True
        session.flush()
        send.send_slice(run_id, lambda _seconds: False)
    assert smtp.per_address() == addresses("anna")


def create_failed_run(user: User, topic: Topic, people: dict[str, Client]) -> Run:
    mailing = due_mailing(user, topic_id=topic.id, state=MailingState.FINISHED)
    run = RunFactory.create(mailing=mailing, topic_id=topic.id, planned=len(people))
    for client in people.values():
        DeliveryFactory.create(run=run, client=client, state=DeliveryState.FAILED)
    return run


def test_failed_letters_are_not_sent_again_to_unsubscribed_people(
    app: Flask, session: Session, user: User, people: dict[str, Client], news: Topic
) -> None:
    run = create_failed_run(user, news, people)
    record_choice(news, people["anna"])
    with app.app_context():
        assert resending.resend_failed(db.session.get_one(Mailing, run.mailing_id), utcnow()) == 2
        db.session.commit()
    assert count_states(session, run) == {"pending": 2, "failed": 1}


def test_no_one_gets_a_letter_about_a_deleted_topic(
    app: Flask, session: Session, user: User, people: dict[str, Client], news: Topic, smtp: SmtpServer
) -> None:
    run = create_failed_run(user, news, people)
    session.execute(update(Delivery).values(state=DeliveryState.PENDING))
    run.state, run.mailing.state, run.mailing.topic_id = RunState.SENDING, MailingState.RUNNING, None
    session.flush()
    session.execute(delete(Topic))
    new = TopicFactory.create(owner=user, name="New")
    assert new.id != run.topic_id
    with app.app_context():
        send.send_slice(run.id, lambda _seconds: False)
    assert smtp.letters == []
    assert count_states(session, run) == {"suppressed": 3}


def test_an_older_version_cannot_plan_a_mailing_with_a_topic(
    session: Session, user: User, news: Topic
) -> None:
    """It would send the mailing to people who unsubscribed from the topic."""
    run = RunFactory.create(mailing=due_mailing(user, topic_id=news.id), topic_id=news.id)
    copied = ("mailing_id", "started_at", "subject", "format", "body", "sender_name", "reply_to")
    values = {name: getattr(run, name) for name in copied}
    with pytest.raises(DBAPIError, match="planned with the topic"):
        session.execute(insert(Run).values(scheduled_for=utcnow(), state=RunState.PLANNED, **values))
    session.rollback()


def test_the_link_in_a_letter_unsubscribes_from_its_topic_with_one_click(
    user: User, people: dict[str, Client], news: Topic, start: Start, smtp: SmtpServer, visitor: FlaskClient
) -> None:
    offers = TopicFactory.create(owner=user, name="Offers")
    start(due_mailing(user, topic_id=news.id))
    letter = next(letter for letter in smtp.letters if letter.to == "anna@example.org")
    found = re.search(r"/u/[\w.-]+", letter.text)
    assert found
    assert visitor.post(found[0], data={"List-Unsubscribe": "One-Click"}).status_code == 200
    smtp.clear()
    for mailing in (
        due_mailing(user, topic_id=news.id),
        due_mailing(user, topic_id=offers.id),
        due_mailing(user),
    ):
        start(mailing)
    arrived = [letter.to for letter in smtp.letters]
    assert (arrived.count("anna@example.org"), arrived.count("boris@example.org")) == (2, 3)


def test_segments_find_who_gets_a_topic(
    app: Flask, user: User, people: dict[str, Client], news: Topic
) -> None:
    digest = TopicFactory.create(owner=user, name="Digest", is_opt_in=True)
    other = TopicFactory.create(owner=UserFactory.create(), name="News")
    record_choice(news, people["anna"])
    record_choice(digest, people["boris"], is_joined=True)
    record_choice(other, people["clara"])
    expected = {
        ("NEWS", "is"): {"boris", "clara"},
        ("news", "is_not"): {"anna"},
        ("Digest", "is"): {"boris"},
        ("Digest", "is_not"): {"anna", "clara"},
    }
    with app.app_context():
        owner = db.session.get_one(User, user.id)
        for (name, op), found in expected.items():
            leaf = {"field": "topic", "op": op, "value": name}
            for conditions, names in ((leaf, found), ({"not": leaf}, set(NAMES) - found)):
                condition = compile_segment(conditions, owner, utcnow())
                statement = select(Client.email).where(Client.owner_id == user.id, condition)
                assert {email.partition("@")[0] for email in db.session.scalars(statement)} == names
