"""Test the owner's pages: topics, their order and deletion, and the topic of a mailing."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    AuditEntry,
    Mailing,
    MailingState,
    Segment,
    Topic,
    TopicChoice,
    User,
)
from skymailing.topics import services
from tests.conftest import SetLimits, SignIn
from tests.mailings.pages import get_field_error, get_main_text, get_value, mailing_fields, soup
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory, create_clients
from tests.support.signup_factories import TopicChoiceFactory, TopicFactory

pytestmark = pytest.mark.one_engine

NEWS = {"name": " Our  news ", "description": "Once a week", "is_public": "y"}


def read_topics(session: Session) -> list[Topic]:
    statement = (
        select(Topic).order_by(Topic.position, Topic.name_key).execution_options(populate_existing=True)
    )
    return list(session.scalars(statement))


def test_a_topic_is_added_and_changed(browser: FlaskClient, session: Session, user: User) -> None:
    assert "No topics yet" in get_main_text(browser.get("/topics/"))
    assert browser.post("/topics/new", data=NEWS).status_code == 302
    (topic,) = read_topics(session)
    assert (topic.owner_id, topic.name, topic.description) == (user.id, "Our news", "Once a week")
    assert (topic.is_public, topic.is_opt_in) == (True, False)
    form = browser.get(f"/topics/{topic.id}/edit")
    assert get_value(form, "name") == "Our news"
    browser.post(f"/topics/{topic.id}/edit", data={"name": "Digest", "description": "", "is_opt_in": "y"})
    (topic,) = read_topics(session)
    assert (topic.name, topic.description, topic.is_public, topic.is_opt_in) == ("Digest", "", False, True)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines"])
def test_a_topic_without_a_valid_name_is_rejected(browser: FlaskClient, session: Session, name: str) -> None:
    page = browser.post("/topics/new", data=NEWS | {"name": name})
    assert get_field_error(page, "name")
    assert read_topics(session) == []


def test_a_topic_that_another_window_has_deleted_is_not_moved(
    app: Flask, session: Session, user: User
) -> None:
    TopicFactory.create(owner=user, name="Events", position=0)
    news = TopicFactory.create(owner=user, position=1)
    with app.app_context():
        opened = db.session.get_one(Topic, news.id)
        db.session.expunge(opened)
        db.session.rollback()
        session.delete(news)
        session.flush()
        services.move_up(opened)
        db.session.commit()
    assert [topic.name for topic in read_topics(session)] == ["Events"]


def test_a_topic_exists_once_in_any_spelling(browser: FlaskClient, session: Session, user: User) -> None:
    TopicFactory.create(owner=UserFactory.create(), name="Our news")
    for name in ("Our news", "OUR NEWS"):
        page = browser.post("/topics/new", data=NEWS | {"name": name})
    assert "You already have the topic “OUR NEWS”." in get_field_error(page, "name")
    own = [topic for topic in read_topics(session) if topic.owner_id == user.id]
    assert len(own) == 1
    assert browser.post(f"/topics/{own[0].id}/edit", data=NEWS | {"name": "our news"}).status_code == 302


def test_the_number_of_topics_is_limited(browser: FlaskClient, set_limits: SetLimits, user: User) -> None:
    set_limits(topics=1)
    TopicFactory.create(owner=UserFactory.create())
    assert browser.post("/topics/new", data=NEWS).status_code == 302
    page = browser.post("/topics/new", data=NEWS | {"name": "Second"})
    assert "You can have up to 1 topics." in get_main_text(page)
    assert "Topics" in get_main_text(browser.get("/auth/profile"))


def test_topics_are_listed_in_order_with_their_numbers(
    browser: FlaskClient, session: Session, user: User
) -> None:
    for name in ("News", "Offers", "Events"):
        browser.post("/topics/new", data=NEWS | {"name": name})
    _news, offers, events = read_topics(session)
    for number in range(3):
        TopicChoiceFactory.create(topic=offers, email_key=f"{number}@x.example", is_joined=number == 0)
    browser.post(f"/topics/{events.id}/up")
    browser.post(f"/topics/{events.id}/up")
    browser.post(f"/topics/{events.id}/up")
    rows = [" ".join(row.get_text(" ").split()) for row in soup(browser.get("/topics/")).select("tbody tr")]
    assert [row.split()[0] for row in rows] == ["Events", "News", "Offers"]
    assert "all except those who unsubscribed 1 2" in rows[2]
    assert [topic.position for topic in read_topics(session)] == [0, 1, 2]


def test_renaming_a_topic_changes_the_segments_that_name_it(
    browser: FlaskClient, session: Session, user: User
) -> None:
    topic = TopicFactory.create(owner=user, name="News")
    leaves = [{"field": field, "op": "is", "value": "news"} for field in ("topic", "tag")]
    conditions = {"any": leaves}
    segment = Segment(owner_id=user.id, name="Readers", conditions=conditions)
    session.add(segment)
    session.flush()
    browser.post(f"/topics/{topic.id}/edit", data={"name": "Digest"})
    session.refresh(segment)
    assert [node["value"] for node in segment.conditions["any"]] == ["Digest", "news"]
    assert segment.version == 2


def test_a_topic_that_a_mailing_uses_is_not_deleted(
    browser: FlaskClient, session: Session, user: User
) -> None:
    topic = TopicFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user, topic_id=topic.id, name="Spring", state=MailingState.DRAFT)
    assert "Spring" in get_main_text(browser.get(f"/topics/{topic.id}/delete"))
    assert browser.post(f"/topics/{topic.id}/delete").status_code == 409
    assert len(read_topics(session)) == 1
    mailing.state = MailingState.CANCELLED
    session.flush()
    assert browser.post(f"/topics/{topic.id}/delete").status_code == 302
    session.refresh(mailing)
    assert (read_topics(session), mailing.topic_id) == ([], None)
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.target) == (AuditAction.TOPIC_DELETED, "News")


def test_deleting_a_topic_warns_about_choices_and_segments(
    browser: FlaskClient, session: Session, user: User
) -> None:
    topic = TopicFactory.create(owner=user)
    TopicChoiceFactory.create(topic=topic, email_key="anna@x.example")
    condition = {"field": "topic", "op": "is", "value": "NEWS"}
    session.add(Segment(owner_id=user.id, name="Readers", conditions=condition))
    session.flush()
    page = get_main_text(browser.get(f"/topics/{topic.id}/delete"))
    assert "1 unsubscribed from this topic, and 0 subscribed to it." in page
    assert "Readers" in page
    browser.post(f"/topics/{topic.id}/delete")
    assert session.scalars(select(TopicChoice)).all() == []
    broken = browser.post("/segments/preview", data={"conditions": json.dumps(condition | {"op": "is_not"})})
    assert "The topic “NEWS” does not exist or has been deleted." in broken.text


def create_mailing(browser: FlaskClient, session: Session, user: User, **changes: Any) -> Mailing | None:
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user), **changes))
    session.expire_all()
    return session.scalar(select(Mailing).order_by(Mailing.id.desc()).limit(1))


def test_a_mailing_gets_a_topic_and_shows_it(browser: FlaskClient, session: Session, user: User) -> None:
    topic = TopicFactory.create(owner=user, name="News")
    clients = create_clients(user, 3)
    TopicChoiceFactory.create(topic=topic, email_key=clients[0].email_key)
    mailing = create_mailing(browser, session, user, topic=topic.id, draft="1")
    assert mailing is not None
    assert mailing.topic_id == topic.id
    shown = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert "Topic News" in shown
    assert "all clients: 2" in shown
    form = browser.get(f"/mailings/{mailing.id}/edit")
    assert get_value(form, "topic") == str(topic.id)
    assert "2 clients topic: News" in " ".join(soup(form).select("#summary")[0].get_text(" ").split())
    fields = mailing_fields(mailing.message, draft="1", topic="0")
    browser.post(f"/mailings/{mailing.id}/edit", data=fields)
    session.expire_all()
    assert mailing.topic_id is None


def test_the_summary_counts_selected_clients_who_get_the_topic(
    browser: FlaskClient, session: Session, user: User
) -> None:
    topic = TopicFactory.create(owner=user, name="News")
    clients = create_clients(user, 3)
    TopicChoiceFactory.create(topic=topic, email_key=clients[0].email_key)
    chosen = {"audience": "selected", "clients": [str(client.id) for client in clients[:2]]}
    fields = mailing_fields(MessageFactory.create(owner=user), topic=topic.id, **chosen)
    preview = soup(browser.post("/mailings/preview", data=fields))
    assert "1 client topic: News" in " ".join(preview.get_text(" ").split())


def test_another_owners_topic_cannot_be_chosen(browser: FlaskClient, session: Session, user: User) -> None:
    foreign = TopicFactory.create(owner=UserFactory.create())
    assert create_mailing(browser, session, user, topic=foreign.id) is None


def test_the_form_offers_topics_only_if_there_are_any(browser: FlaskClient, user: User) -> None:
    MessageFactory.create(owner=user)
    assert "Let clients unsubscribe from individual topics" in get_main_text(browser.get("/mailings/new"))
    TopicFactory.create(owner=user, name="News")
    assert soup(browser.get("/mailings/new")).select("select[name=topic] option")[1].get_text() == "News"


def test_a_deleted_mailing_is_restored_with_its_topic_unless_that_is_deleted(
    browser: FlaskClient, session: Session, user: User
) -> None:
    topic = TopicFactory.create(owner=user)
    for is_topic_deleted in (False, True):
        name = f"deleted: {is_topic_deleted}"
        mailing = create_mailing(browser, session, user, topic=topic.id, draft="1", name=name)
        assert mailing is not None
        page = browser.post(f"/mailings/{mailing.id}/delete", follow_redirects=True)
        form = soup(page).select_one("form[action*='/mailings/undo/']")
        assert form is not None
        if is_topic_deleted:
            for other in session.scalars(select(Mailing)):
                other.topic_id = None
            session.flush()
            browser.post(f"/topics/{topic.id}/delete")
        page = browser.post(str(form["action"]), follow_redirects=True)
        if is_topic_deleted:
            assert "because its topic has been deleted" in page.text
        else:
            assert session.scalars(select(Mailing.topic_id)).one() == topic.id


def test_the_page_of_a_run_shows_its_topic(
    app: Flask, browser: FlaskClient, session: Session, user: User
) -> None:
    topic = TopicFactory.create(owner=user, name="News")
    ClientFactory.create(owner=user)
    mailing = MailingFactory.create(
        owner=user, topic_id=topic.id, state=MailingState.SCHEDULED, next_run_at=utcnow()
    )
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow() + timedelta(seconds=1))
    assert "Topic News" in get_main_text(browser.get(f"/mailings/runs/{run_id}"))


def test_a_stranger_sees_no_topics(sign_in: SignIn, user: User) -> None:
    TopicFactory.create(owner=user)
    assert "No topics yet" in get_main_text(sign_in(UserFactory.create()).get("/topics/"))
