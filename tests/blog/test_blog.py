"""Test the public blog."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from skymailing.clock import utcnow
from skymailing.models import MessageFormat, Role
from tests.conftest import SignIn
from tests.support.factories import ArticleFactory, UserFactory

# Page texts do not depend on the database.
pytestmark = pytest.mark.one_engine


def test_an_empty_blog_shows_a_notice(visitor: FlaskClient) -> None:
    assert "No articles yet" in visitor.get("/blog/").text


@pytest.mark.both_engines
def test_published_articles_are_listed_newest_first(visitor: FlaskClient) -> None:
    now = utcnow()
    older = ArticleFactory.create(published_at=now - timedelta(days=3), summary="Коротко о главном")
    newer = ArticleFactory.create(published_at=now - timedelta(days=1))

    page = visitor.get("/blog/").text

    assert page.index(newer.title) < page.index(older.title)
    assert "Коротко о главном" in page


@pytest.mark.both_engines
def test_a_long_list_is_paginated(visitor: FlaskClient) -> None:
    now = utcnow()
    articles = [ArticleFactory.create(published_at=now - timedelta(days=n + 1)) for n in range(15)]

    first = visitor.get("/blog/").text
    next_page = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = visitor.get(next_page).text

    for number, article in enumerate(articles):
        path = f'href="/blog/{article.slug}"'
        assert (path in first) != (path in second), number
    assert 'rel="prev"' in second


@pytest.mark.parametrize("published_in", [None, timedelta(minutes=5)], ids=["draft", "future"])
def test_an_unpublished_article_is_not_found(visitor: FlaskClient, published_in: timedelta | None) -> None:
    article = ArticleFactory.create(published_at=published_in and utcnow() + published_in)

    assert visitor.get(f"/blog/{article.slug}").status_code == 404
    assert article.title not in visitor.get("/blog/").text


def test_an_unknown_article_is_not_found(visitor: FlaskClient) -> None:
    assert visitor.get("/blog/nothing").status_code == 404


def test_an_article_shows_title_text_author_and_date(visitor: FlaskClient) -> None:
    article = ArticleFactory.create(author__name="Ольга Смирнова", body="Текст **статьи**")

    page = visitor.get(f"/blog/{article.slug}").text

    assert article.title in page
    assert "Текст <strong>статьи</strong>" in page
    assert "Ольга Смирнова" in page
    assert "<time" in page


def test_an_authors_address_is_never_shown(visitor: FlaskClient) -> None:
    author = UserFactory.create(name="", email="secret.author@example.com")
    article = ArticleFactory.create(author=author)

    assert "secret" not in visitor.get(f"/blog/{article.slug}").text


@pytest.mark.both_engines
def test_an_article_remains_when_its_author_is_deleted(visitor: FlaskClient) -> None:
    article = ArticleFactory.create(author=None)

    assert visitor.get(f"/blog/{article.slug}").status_code == 200


@pytest.mark.parametrize("format", [MessageFormat.MARKDOWN, MessageFormat.HTML])
def test_dangerous_html_is_removed(visitor: FlaskClient, format: MessageFormat) -> None:
    body = (
        "<p onclick='steal()'>Keep this</p><script>steal()</script><style>p{}</style>"
        "<iframe src='https://evil.example'></iframe><a href='javascript:steal()'>link</a>"
        "<form action='/auth/logout'><input name='x'></form><img src='/x.png' onerror='steal()'>"
    )
    article = ArticleFactory.create(format=format, body=body)

    page = visitor.get(f"/blog/{article.slug}").text
    prose = page.partition('<div class="prose">')[2].partition("</article>")[0]

    assert "Keep this" in prose
    for forbidden in ("steal", "<script", "<style", "<iframe", "javascript:", "<form", "<input", "onerror"):
        assert forbidden not in prose


def test_plain_text_keeps_its_lines_and_shows_markup_as_text(visitor: FlaskClient) -> None:
    article = ArticleFactory.create(format=MessageFormat.TEXT, body="one\ntwo\n\n<b>three</b>")

    page = visitor.get(f"/blog/{article.slug}").text

    assert "<p>one<br>two</p>" in page
    assert "<p>&lt;b&gt;three&lt;/b&gt;</p>" in page


@pytest.mark.parametrize("role", list(Role))
def test_only_content_managers_see_unpublished_articles(sign_in: SignIn, role: Role) -> None:
    draft = ArticleFactory.create(slug="draft", published_at=None)
    future = ArticleFactory.create(slug="future", published_at=utcnow() + timedelta(days=1))
    browser = sign_in(UserFactory.create(role=role))
    is_editor = role in (Role.CONTENT, Role.ADMIN)

    for article in (draft, future):
        response = browser.get(f"/blog/{article.slug}")
        assert response.status_code == (200 if is_editor else 404)
        if is_editor:
            assert ">draft</span>" in response.text
            assert "noindex" in response.text
            assert "og:" not in response.text
        assert (article.title in browser.get("/blog/").text) is is_editor
    assert ("Unpublished" in browser.get("/blog/").text) is is_editor
