"""Test that cached pages contain no user data and are in the requested language."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from skymailing.models import MailingState, Role
from tests.conftest import SignIn
from tests.support.factories import ArticleFactory, MailingFactory, UserFactory

# Cached pages are in Redis.
pytestmark = pytest.mark.one_engine


def test_each_language_has_its_own_cached_page(visitor: FlaskClient) -> None:
    for _ in range(2):
        english = visitor.get("/blog/", headers={"Accept-Language": "en"})
        russian = visitor.get("/blog/", headers={"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"})
        assert '<html lang="en">' in english.text
        assert '<html lang="ru">' in russian.text
        assert {"Accept-Language", "Cookie"} <= set(russian.vary)
    visitor.set_cookie("language", "ru")
    assert '<html lang="ru">' in visitor.get("/blog/", headers={"Accept-Language": "en"}).text


def test_query_and_host_values_are_not_shown_to_other_visitors(visitor: FlaskClient) -> None:
    visitor.get("/blog/?utm_source=evil&cursor=evil")
    visitor.get("/?next=//evil.example")
    visitor.get("/blog/", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    for path in ("/blog/", "/", "/blog/feed.atom", "/sitemap.xml"):
        visitor.get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        for _ in range(20):
            assert "evil" not in visitor.get(path).text


def test_data_for_signed_in_users_is_not_cached(app: Flask, sign_in: SignIn, visitor: FlaskClient) -> None:
    anna, boris = UserFactory.create(email="anna-secret@example.com"), UserFactory.create(name="Boris Secret")
    mailing = MailingFactory.create(owner=anna, name="Secret mailing by Anna", state=MailingState.RUNNING)
    ArticleFactory.create(slug="first")
    browsers = [sign_in(anna), sign_in(boris)]
    for _ in range(3):
        for path in ("/", "/blog/", "/blog/first"):
            annas_page = browsers[0].get(path)
            boris_page = browsers[1].get(path)
            assert "anna-secret" in annas_page.text
            assert "Boris Secret" in boris_page.text
            assert "anna-secret" not in boris_page.text
            assert mailing.name not in boris_page.text
            assert annas_page.headers["Cache-Control"] == "private, no-store"
            assert "ETag" not in annas_page.headers
            for _ in range(3):
                page = visitor.get(path).text
                assert "ecret" not in page
                assert "/auth/login" in page


def test_a_page_with_a_flash_message_is_not_cached(app: Flask, visitor: FlaskClient) -> None:
    with visitor.session_transaction() as session:
        session["_flashes"] = [("info", "only for you")]
    assert "only for you" in visitor.get("/").text
    other_visitor = app.test_client()
    for _ in range(20):
        assert "only for you" not in other_visitor.get("/").text


def test_an_authors_drafts_are_not_cached(sign_in: SignIn, visitor: FlaskClient) -> None:
    draft = ArticleFactory.create(slug="secret", title="Secret plans", published_at=None)
    author = sign_in(UserFactory.create(role=Role.CONTENT))
    assert draft.title in author.get("/blog/").text
    assert author.get("/blog/secret").status_code == 200
    for path in ("/", "/blog/", "/blog/feed.atom", "/sitemap.xml"):
        assert "ecret" not in visitor.get(path).text
    assert visitor.get("/blog/secret").status_code == 404
