"""Test the page where recipients choose topics, through the link in a letter."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.delivery.rendering.letter import EXAMPLE, Content, preview
from skymailing.models import (
    Consent,
    ConsentKind,
    ConsentText,
    MessageFormat,
    SuppressionReason,
    Topic,
    TopicChoice,
    User,
)
from skymailing.tokens import unsubscribe_token
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import ClientFactory, MessageFactory, SuppressionFactory, UserFactory
from tests.support.signup_factories import TopicChoiceFactory, TopicFactory

ADDRESS = "anna@example.com"


@pytest.fixture
def topics(user: User) -> dict[str, Topic]:
    return {
        "news": TopicFactory.create(owner=user, name="News", position=1),
        "digest": TopicFactory.create(owner=user, name="Digest", is_opt_in=True, description="Once a month"),
        "staff": TopicFactory.create(owner=user, name="Staff", is_public=False),
        "old": TopicFactory.create(owner=user, name="Old", is_public=False, position=2),
    }


@pytest.fixture
def path(app: Flask, user: User) -> str:
    with app.app_context():
        return f"/p/{unsubscribe_token(user.id, ADDRESS)}"


def get(visitor: FlaskClient, path: str) -> TestResponse:
    return visitor.get(path, headers={"Accept-Language": "en"})


def ticked(page: TestResponse) -> dict[str, bool]:
    boxes = soup(page).select("input[type=checkbox][name=topic]")
    names = {str(label["for"]): label.get_text() for label in soup(page).select("label[for^=topic-]")}
    return {names[str(box["id"])]: box.has_attr("checked") for box in boxes}


def read_choices(session: Session) -> dict[int, bool]:
    session.expire_all()
    return {row.topic_id: row.is_joined for row in session.scalars(select(TopicChoice))}


def test_the_page_shows_public_topics_and_those_that_the_person_chose_in_order(
    session: Session, visitor: FlaskClient, user: User, topics: dict[str, Topic], path: str
) -> None:
    TopicChoiceFactory.create(topic=topics["old"], email_key=ADDRESS)
    TopicFactory.create(owner=UserFactory.create(), name="Foreign")
    page = get(visitor, path)
    assert list(ticked(page).items()) == [("Digest", False), ("News", True), ("Old", False)]
    assert "Once a month" in get_main_text(page)
    assert user.name in get_main_text(page)
    assert "a***@example.com" in get_main_text(page)
    assert read_choices(session) == {topics["old"].id: False}, "opening the page changes nothing"


def test_saving_records_changes_and_can_be_repeated(
    session: Session, visitor: FlaskClient, topics: dict[str, Topic], path: str
) -> None:
    form: dict[str, Any] = {"shown": [topics["news"].id], "topic": [topics["digest"].id]}
    for _click in range(2):
        page = visitor.post(path, data=form, headers={"Accept-Language": "en"})
        assert "Saved." in get_main_text(page)
        assert ticked(page) == {"Digest": True, "News": False}
    expected = {topics["news"].id: False, topics["digest"].id: True}
    assert read_choices(session) == expected
    first = [row.changed_at for row in session.scalars(select(TopicChoice).order_by(TopicChoice.topic_id))]
    visitor.post(path, data=form)
    session.expire_all()
    again = [row.changed_at for row in session.scalars(select(TopicChoice).order_by(TopicChoice.topic_id))]
    assert again == first, "saving again keeps the time of the choice"


def test_a_second_tab_does_not_revert_changes_saved_in_the_first(
    session: Session, visitor: FlaskClient, topics: dict[str, Topic], path: str
) -> None:
    """Both tabs were opened when the person got news and no digest."""
    news, digest = topics["news"].id, topics["digest"].id
    visitor.post(path, data={"shown": [news]})
    visitor.post(path, data={"shown": [news], "topic": [news, digest]})
    assert read_choices(session) == {news: False, digest: True}


def test_hidden_topics_and_other_owners_topics_cannot_be_chosen(
    session: Session, visitor: FlaskClient, topics: dict[str, Topic], path: str
) -> None:
    foreign = TopicFactory.create(owner=UserFactory.create())
    visitor.post(path, data={"topic": [topics["staff"].id, foreign.id, "x", "9" * 30], "shown": []})
    assert read_choices(session) == {}, "news was not shown, so its choice is unchanged"


def test_the_page_shows_how_the_owner_got_the_address(
    session: Session, visitor: FlaskClient, user: User, path: str
) -> None:
    text = ConsentText(owner_id=user.id, digest="0" * 64, text="Asked in the shop")
    session.add(text)
    session.flush()
    session.add(
        Consent(owner_id=user.id, email_key=ADDRESS, kind=ConsentKind.IMPORTED, at=utcnow(), text_id=text.id)
    )
    session.flush()
    shown = get_main_text(get(visitor, path))
    assert "Asked in the shop" in shown
    assert "receives all emails" in shown, "there are no topics to choose from"


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_a_suppressed_address_is_offered_nothing(
    visitor: FlaskClient, user: User, topics: dict[str, Topic], path: str, reason: SuppressionReason
) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key=ADDRESS, reason=reason)
    page = get(visitor, path)
    assert ticked(page) == {}
    assert "is unsubscribed from all emails" in get_main_text(page)


def test_the_page_unsubscribes_from_everything(
    visitor: FlaskClient, topics: dict[str, Topic], path: str
) -> None:
    form = soup(get(visitor, path)).select_one("form[action^='/u/']")
    assert form is not None
    page = visitor.post(str(form["action"]), data={"action": "everything"}, headers={"Accept-Language": "en"})
    assert "You are unsubscribed" in get_main_text(page)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_damaged_link_shows_a_friendly_page(visitor: FlaskClient, path: str, method: str) -> None:
    response = getattr(visitor, method)(path[:-3], headers={"Accept-Language": "en"})
    assert response.status_code == 404
    assert "This link does not work" in response.text


def test_the_page_of_a_deleted_sender_confirms_that_no_letters_will_be_sent(
    session: Session, visitor: FlaskClient, user: User, path: str
) -> None:
    session.delete(user)
    session.flush()
    for page in (get(visitor, path), visitor.post(path, headers={"Accept-Language": "en"})):
        assert (page.status_code, "You are unsubscribed" in page.text) == (200, True)


@pytest.mark.one_engine
def test_a_letter_can_link_to_the_page_where_clients_choose_topics() -> None:
    url = "https://sky.example/u/abc_-1"
    for body in ("{{ preferences_url }}", "{{ preferences_url | upcase | downcase }}"):
        rendered = preview(Content("x", MessageFormat.TEXT, body), EXAMPLE, unsubscribe_url=url)
        assert rendered.text.startswith("https://sky.example/p/abc_-1\n")
        assert url in rendered.text, "the footer still unsubscribes"


def test_the_language_is_offered_if_the_owner_writes_in_several(
    session: Session, user: User, visitor: FlaskClient, path: str
) -> None:
    client = ClientFactory.create(owner=user, email=ADDRESS, attributes={"city": "Omsk"})
    MessageFactory.create(owner=user, language="en")
    assert not soup(get(visitor, path)).select("select[name=language]")
    MessageFactory.create(owner=user, language="ru")
    assert soup(get(visitor, path)).select("select[name=language]")
    for chosen, stored in (("ru", "ru"), ("fr", "ru"), ("", None)):
        visitor.post(path, data={"language": chosen})
        session.refresh(client)
        assert client.attributes == {"city": "Omsk"} | ({"language": stored} if stored else {})
