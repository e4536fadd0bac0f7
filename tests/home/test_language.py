"""Test how the language of pages is chosen and changed."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import User

# The language does not depend on the database.
pytestmark = pytest.mark.one_engine


def find_language(page: str) -> str:
    return page.partition('<html lang="')[2].partition('"')[0]


def test_visitors_see_pages_in_their_browsers_language(visitor: FlaskClient) -> None:
    assert find_language(visitor.get("/", headers={"Accept-Language": "ru,en;q=0.5"}).text) == "ru"
    assert find_language(visitor.get("/", headers={"Accept-Language": "fr"}).text) == "en"


def test_a_visitors_choice_is_remembered_and_redirects_back(visitor: FlaskClient) -> None:
    response = visitor.post("/language?next=/blog/", data={"language": "ru"})

    assert response.status_code == 302
    assert response.location == "/blog/"
    assert find_language(visitor.get("/", headers={"Accept-Language": "en"}).text) == "ru"


def test_a_users_choice_is_stored_in_the_profile(browser: FlaskClient, user: User, session: Session) -> None:
    browser.post("/language", data={"language": "ru"})

    session.refresh(user)
    assert user.locale == "ru"
    assert find_language(browser.get("/", headers={"Accept-Language": "en"}).text) == "ru"


def test_opening_the_language_page_changes_nothing(visitor: FlaskClient) -> None:
    response = visitor.get("/language?language=ru")

    assert "language=" not in response.headers.get("Set-Cookie", "")
    assert find_language(visitor.get("/").text) == "en"


@pytest.mark.parametrize("language", ["", "fr", "../en"])
def test_an_unknown_language_is_rejected(visitor: FlaskClient, language: str) -> None:
    assert visitor.post("/language", data={"language": language}).status_code == 400


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "evil"])
def test_the_redirect_never_leaves_the_site(visitor: FlaskClient, target: str) -> None:
    response = visitor.post("/language", query_string={"next": target}, data={"language": "ru"})

    assert response.location == "/"
