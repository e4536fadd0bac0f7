"""Test topics on a client's page, and the choices of clients who are changed, merged or deleted."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.topic_choices import choose, choose_as_owner
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, DeliveryState, Topic, TopicChoice, User
from tests.clients.test_merging import anna, duplicate, merge
from tests.clients.test_profile import read_letters
from tests.mailings.pages import get_main_text
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    SuppressionFactory,
    UserFactory,
)
from tests.support.signup_factories import TopicChoiceFactory, TopicFactory

__all__ = ["anna", "duplicate"]  # fixtures


@pytest.fixture
def news(user: User) -> Topic:
    return TopicFactory.create(owner=user)


def read(session: Session) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Return, by topic and address, whether the client is subscribed, and whether the owner recorded it."""
    session.expire_all()
    rows = session.execute(select(Topic.name, TopicChoice).join(Topic, Topic.id == TopicChoice.topic_id))
    return {(name, row.email_key): (row.is_joined, row.is_by_owner) for name, row in rows.tuples()}


def press(browser: FlaskClient, client: Client, topic: Topic, action: str) -> str:
    data = {"topic": topic.id, "action": action}
    page = browser.post(f"/clients/{client.id}/topics", data=data, follow_redirects=True)
    assert page.status_code == 200
    return get_main_text(page)


def test_the_owner_can_revert_what_the_owner_recorded(
    session: Session, browser: FlaskClient, user: User, news: Topic
) -> None:
    client = ClientFactory.create(owner=user)
    assert "News gets emails" in get_main_text(browser.get(f"/clients/{client.id}"))
    assert "set by you" in press(browser, client, news, "leave")
    assert read(session) == {("News", client.email_key): (False, True)}
    assert "The client now gets emails about “News”." in press(browser, client, news, "join")
    assert read(session) == {("News", client.email_key): (True, True)}


def test_the_owner_cannot_resubscribe_a_client_who_unsubscribed(
    session: Session, browser: FlaskClient, user: User, news: Topic
) -> None:
    client = ClientFactory.create(owner=user)
    TopicChoiceFactory.create(topic=news, email_key=client.email_key)
    shown = get_main_text(browser.get(f"/clients/{client.id}"))
    assert "Only the client can resubscribe to a topic after unsubscribing." in shown
    assert "Subscribe" not in shown.partition("Topics")[2].partition("Emails")[0]
    assert "Only the client can resubscribe." in press(browser, client, news, "join")
    assert "unsubscribed on" in press(browser, client, news, "leave"), "it remains the client's own choice"
    assert read(session) == {("News", client.email_key): (False, False)}


def test_a_clients_own_choice_replaces_what_the_owner_recorded(
    app: Flask, session: Session, browser: FlaskClient, user: User, news: Topic
) -> None:
    client = ClientFactory.create(owner=user)
    press(browser, client, news, "leave")
    with app.app_context():
        choose(user.id, client.email_key, {news.id: False}, utcnow())
        db.session.commit()
        with pytest.raises(UserError):
            choose_as_owner(user.id, client.email_key, news.id, True, utcnow())
    assert read(session) == {("News", client.email_key): (False, False)}


def test_other_owners_topics_and_clients_are_not_found(
    session: Session, browser: FlaskClient, user: User, news: Topic
) -> None:
    own, foreign = ClientFactory.create(owner=user), ClientFactory.create()
    theirs = TopicFactory.create(owner=UserFactory.create())
    for client, topic in ((own, theirs), (foreign, news), (own, Topic(id=999_999))):
        response = browser.post(f"/clients/{client.id}/topics", data={"topic": topic.id, "action": "leave"})
        assert response.status_code == 404
    assert read(session) == {}


def test_choices_move_to_a_new_address_and_opt_outs_win(
    session: Session, browser: FlaskClient, user: User, news: Topic
) -> None:
    digest = TopicFactory.create(owner=user, name="Digest", is_opt_in=True)
    offers = TopicFactory.create(owner=user, name="Offers")
    client = ClientFactory.create(owner=user, email="old@x.com")
    TopicChoiceFactory.create(topic=news, email_key="old@x.com")
    TopicChoiceFactory.create(topic=news, email_key="new@x.com", is_joined=True)
    TopicChoiceFactory.create(topic=digest, email_key="old@x.com", is_joined=True)
    TopicChoiceFactory.create(topic=offers, email_key="new@x.com")
    TopicChoiceFactory.create(topic=offers, email_key="old@x.com", is_joined=True)
    browser.post(f"/clients/{client.id}/edit", data={"email": "new@x.com"})
    moved = {name: joined for (name, key), (joined, _by) in read(session).items() if key == "new@x.com"}
    assert moved == {"News": False, "Digest": True, "Offers": False}


def test_the_owner_cannot_revert_a_clients_opt_out_at_either_address(
    session: Session, browser: FlaskClient, user: User, news: Topic, anna: Client, duplicate: Client
) -> None:
    TopicChoiceFactory.create(topic=news, email_key=duplicate.email_key)
    TopicChoiceFactory.create(topic=news, email_key=anna.email_key, is_by_owner=True)
    before = read(session)
    undo = merge(browser, anna, duplicate)
    assert read(session)["News", anna.email_key] == (False, False)
    assert "Only the client can resubscribe." in press(browser, anna, news, "join")
    browser.post(undo)
    assert read(session) == before


def test_a_choice_survives_if_the_client_is_deleted_and_added_again(
    session: Session, browser: FlaskClient, user: User, news: Topic
) -> None:
    client = ClientFactory.create(owner=user, email="anna@x.com")
    TopicChoiceFactory.create(topic=news, email_key="anna@x.com")
    browser.post(f"/clients/{client.id}/delete")
    browser.post("/clients/new", data={"email": "Anna@x.com"})
    again = session.scalars(select(Client.id)).one()
    assert "unsubscribed on" in get_main_text(browser.get(f"/clients/{again}"))


def test_a_merged_client_has_both_clients_opt_outs_until_the_undo(
    session: Session, browser: FlaskClient, user: User, news: Topic, anna: Client, duplicate: Client
) -> None:
    digest = TopicFactory.create(owner=user, name="Digest", is_opt_in=True)
    TopicChoiceFactory.create(topic=news, email_key=duplicate.email_key)
    TopicChoiceFactory.create(topic=news, email_key=anna.email_key, is_joined=True, is_by_owner=True)
    TopicChoiceFactory.create(topic=digest, email_key=duplicate.email_key, is_joined=True)
    before = read(session)
    undo = merge(browser, anna, duplicate)
    kept = {name: choice for (name, key), choice in read(session).items() if key == anna.email_key}
    assert kept == {"News": (False, False), "Digest": (True, False)}
    browser.post(undo)
    assert read(session) == before


def test_the_undo_of_a_merge_keeps_what_the_client_has_chosen_since(
    app: Flask,
    session: Session,
    browser: FlaskClient,
    user: User,
    news: Topic,
    anna: Client,
    duplicate: Client,
) -> None:
    TopicChoiceFactory.create(topic=news, email_key=duplicate.email_key)
    undo = merge(browser, anna, duplicate)
    with app.app_context():
        for is_joined in (True, False):
            choose(user.id, anna.email_key, {news.id: is_joined}, utcnow())
        db.session.commit()
    browser.post(undo)
    assert read(session)["News", anna.email_key] == (False, False)


def test_the_page_shows_which_letters_were_not_sent_because_of_the_topic(
    browser: FlaskClient, user: User, news: Topic
) -> None:
    client = ClientFactory.create(owner=user)
    TopicChoiceFactory.create(topic=news, email_key=client.email_key, changed_at=utcnow())
    later, earlier = utcnow() + timedelta(minutes=1), utcnow() - timedelta(days=1)
    for name, topic_id, at in (
        ("After", news.id, later),
        ("Before", news.id, earlier),
        ("Other", None, later),
    ):
        mailing = MailingFactory.create(owner=user, name=name, topic_id=topic_id)
        run = RunFactory.create(mailing=mailing, topic_id=topic_id)
        DeliveryFactory.create(run=run, client=client, state=DeliveryState.SUPPRESSED, finished_at=at)
    rows = read_letters(browser.get(f"/clients/{client.id}").text)
    assert {name: "unsubscribed from the topic" in row for name, row in rows.items()} == {
        "After": True,
        "Before": False,
        "Other": False,
    }
    SuppressionFactory.create(owner_id=user.id, email_key=client.email_key)
    assert (
        "unsubscribed from the topic" not in read_letters(browser.get(f"/clients/{client.id}").text)["After"]
    )
