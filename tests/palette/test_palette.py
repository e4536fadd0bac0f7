"""Test the command palette: the pages, objects and help pages that it finds."""

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import MailingState, Role, User
from skymailing.palette.places import PLACES, find_places
from tests.conftest import SignIn
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory


def test_every_listed_page_opens(app: Flask, sign_in: SignIn) -> None:
    admin = UserFactory.create(role=Role.ADMIN)
    browser = sign_in(admin)
    with app.test_request_context():
        urls = [url_for(place.endpoint) for place in PLACES]
    assert len(set(urls)) == len(urls)
    for url in urls:
        assert browser.get(url).status_code == 200, url


@pytest.mark.one_engine
def test_pages_are_found_by_name_and_by_keywords(app: Flask, user: User) -> None:
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert [place.endpoint for place in find_places(user, ["imp"])] == ["clients.import_new"]
        assert [place.endpoint for place in find_places(user, ["csv", "up"])] == ["clients.import_new"]
        assert find_places(user, ["manager"]) == []
        assert len(find_places(user, [])) == len([place for place in PLACES if not place.staff_only])
    manager = UserFactory.create(role=Role.MANAGER)
    with app.test_request_context(headers={"Accept-Language": "ru"}):
        assert [place.endpoint for place in find_places(manager, ["панель"])] == ["manager.index"]
        assert [place.endpoint for place in find_places(user, ["импорт"])] == ["clients.import_new"]


def test_only_the_users_own_objects_are_found(browser: FlaskClient, session: Session, user: User) -> None:
    other_user = UserFactory.create()
    for owner in (user, other_user):
        MailingFactory.create(owner=owner, name="Осенняя ярмарка", state=MailingState.DRAFT)
        MessageFactory.create(owner=owner, subject="Осенняя скидка <b>")
        ClientFactory.create(owner=owner, full_name="Осенняя Анна", email=f"anna{owner.id}@example.org")
    session.commit()
    page = browser.get("/go/?part=1&q=осенняя").text
    assert page.count("Осенняя ярмарка") == 1
    assert "Осенняя скидка &lt;b&gt;" in page
    assert f"anna{user.id}@example.org" in page
    assert f"anna{other_user.id}@example.org" not in page
    assert "<html" not in page
    assert "<html" in browser.get("/go/?q=осенняя").text


@pytest.mark.one_engine
def test_help_pages_are_found(browser: FlaskClient) -> None:
    assert 'href="/help/sender-domain"' in browser.get("/go/?part=1&q=DNS").text
    assert 'href="/help/' not in browser.get("/go/?part=1&q=xylophone").text


@pytest.mark.one_engine
@pytest.mark.parametrize("search", ["%", "_", "'", "\\", "*[", "a" * 5000, "\x00", "  "])
def test_unusual_searches_do_not_match_everything(browser: FlaskClient, user: User, search: str) -> None:
    MailingFactory.create(owner=user, name="Plain name")
    response = browser.get("/go/", query_string={"q": search, "part": "1"})
    assert response.status_code == 200
    assert "Plain name" not in response.text


@pytest.mark.one_engine
def test_signed_out_visitors_have_no_palette(visitor: FlaskClient) -> None:
    assert visitor.get("/go/").status_code == 302
    assert 'id="palette"' not in visitor.get("/").text
