"""Test that an edit is visible on the next request, in every process."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import delete, update

from skymailing.caching import middleware
from skymailing.caching.backend import ARTICLES
from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.home import queries
from skymailing.models import Article, Client, Mailing, MailingState, User
from tests.caching.conftest import Edit
from tests.support.factories import ArticleFactory, MailingFactory, UserFactory


def test_an_edit_in_one_process_is_immediately_visible_in_the_other(
    app: Flask, other_app: Flask, visitor: FlaskClient, edit: Edit
) -> None:
    article = ArticleFactory.create(slug="first", author__name="Old Name")
    paths = ("/", "/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml")
    other_visitor = other_app.test_client()
    for path in paths:
        for _ in range(20):
            other_visitor.get(path)

    edit(app, update(Article).where(Article.id == article.id).values(title="New title", slug="second"))
    for path in ("/", "/blog/", "/blog/second", "/blog/feed.atom"):
        assert "New title" in other_visitor.get(path).text
    assert other_visitor.get("/blog/first").status_code == 404
    assert "/blog/second" in other_visitor.get("/sitemap.xml").text

    edit(app, update(Article).values(body="Something **new**"))
    assert "Something <strong>new</strong>" in other_visitor.get("/blog/second").text
    edit(app, update(User).where(User.id == article.author_id).values(name="New Name"))
    assert "New Name" in other_visitor.get("/blog/second").text
    edit(app, update(Article).values(published_at=None))
    assert other_visitor.get("/blog/second").status_code == 404
    edit(app, update(Article).values(published_at=utcnow()))
    assert other_visitor.get("/blog/second").status_code == 200
    edit(app, delete(Article))
    assert other_visitor.get("/blog/second").status_code == 404
    for path in ("/", "/blog/", "/blog/feed.atom", "/sitemap.xml"):
        assert "second" not in other_visitor.get(path).text


@pytest.mark.one_engine  # labels are in Redis
def test_no_process_uses_a_label_from_before_an_edit(app: Flask, other_app: Flask) -> None:
    """A busy process reads a label once for several requests, so an edit waits until the next read."""
    with app.app_context():
        editing = shared_cache()
    with other_app.app_context():
        serving = shared_cache()
    for _ in range(50):
        before = serving.lease_label((ARTICLES,))
        assert serving.lease_label((ARTICLES,)) == before
        editing.invalidate([ARTICLES])
        assert serving.lease_label((ARTICLES,)) != before


def test_every_change_updates_the_numbers_on_the_home_page(
    app: Flask, other_app: Flask, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SLOW_SECONDS", 60)  # seconds; counts remain exact even if counting is slow
    other_visitor = other_app.test_client()
    owner = UserFactory.create()

    def get_numbers() -> list[str]:
        section = other_visitor.get("/").text.partition('class="totals"')[2].partition("</section>")[0]
        return [part.partition("</strong>")[0] for part in section.split("<strong>")[1:]]

    assert get_numbers() == [], "an empty service shows no numbers"
    client = Client(owner_id=owner.id, email="a@example.org", email_key="a@example.org")
    with app.app_context():
        db.session.add(client)
        db.session.commit()
    assert get_numbers() == ["0", "0", "1"]
    mailing = MailingFactory.create(owner=owner)
    assert get_numbers() == ["1", "0", "1"]
    edit(app, update(Mailing).where(Mailing.id == mailing.id).values(state=MailingState.RUNNING))
    assert get_numbers() == ["1", "1", "1"]
    edit(app, update(User).where(User.id == owner.id).values(blocked_at=utcnow()))
    assert get_numbers() == ["1", "0", "1"]
    edit(app, update(User).where(User.id == owner.id).values(blocked_at=None))
    assert get_numbers() == ["1", "1", "1"]
    edit(app, delete(Client))
    edit(app, delete(Mailing))
    assert get_numbers() == [], "an empty service shows no numbers"


def test_a_page_rendered_from_old_rows_is_not_served_after_the_edit(
    app: Flask, other_app: Flask, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process reads the article, another edits it, and then the first caches the page."""
    article = ArticleFactory.create(slug="first", title="Old title")
    store = middleware._store

    def store_late(*arguments: object) -> None:
        edit(other_app, update(Article).where(Article.id == article.id).values(title="New title"))
        store(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(middleware, "_store", store_late)
    assert "Old title" in app.test_client().get("/blog/first").text
    monkeypatch.undo()
    assert "New title" in app.test_client().get("/blog/first").text
    assert "New title" in other_app.test_client().get("/blog/first").text


def test_a_scheduled_article_appears_on_time(visitor: FlaskClient) -> None:
    now = utcnow()
    ArticleFactory.create(slug="coming", title="Coming soon", published_at=now + timedelta(seconds=90))
    paths = ("/", "/blog/", "/blog/feed.atom")
    with time_machine.travel(now + timedelta(seconds=89), tick=False):
        for path in paths:
            for _ in range(20):
                assert "Coming soon" not in visitor.get(path).text
        assert visitor.get("/blog/coming").status_code == 404
    with time_machine.travel(now + timedelta(seconds=90, milliseconds=1), tick=False):
        for path in paths:
            for _ in range(20):
                assert "Coming soon" in visitor.get(path).text
        assert visitor.get("/blog/coming").status_code == 200


def test_a_page_rendered_during_a_publication_is_not_cached(
    visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utcnow()
    ArticleFactory.create(title="Coming soon", published_at=now + timedelta(seconds=90))
    store = middleware._store
    with time_machine.travel(now + timedelta(seconds=89), tick=False) as clock:

        def store_late(*arguments: object) -> None:
            clock.shift(2)
            store(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(middleware, "_store", store_late)
        assert "Coming soon" not in visitor.get("/blog/").text
        monkeypatch.undo()
        assert "Coming soon" in visitor.get("/blog/").text


def test_after_a_publication_no_request_gets_the_old_page(other_app: Flask) -> None:
    now = utcnow()
    ArticleFactory.create(title="Coming soon", published_at=now + timedelta(seconds=90))
    visitor = other_app.test_client()
    parallel_pages: list[str] = []
    is_due = False

    @other_app.after_request
    def request_in_parallel(response: Response) -> Response:
        if is_due and not parallel_pages:
            parallel_pages.append("")  # the parallel response also passes through here
            parallel_pages[0] = other_app.test_client().get("/blog/").text
        return response

    for _ in range(2):
        assert "Coming soon" not in visitor.get("/blog/").text
    is_due = True
    with time_machine.travel(now + timedelta(seconds=91), tick=False):
        assert "Coming soon" in visitor.get("/blog/").text
    assert "Coming soon" in parallel_pages[0]
