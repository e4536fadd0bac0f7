"""Pages that are kept between requests: never stale, never somebody else's, also without Redis."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, event, update
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app, freshness, page_cache
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Article, Client, Mailing, MailingState, Role, User
from tests.conftest import SignIn
from tests.factories import ArticleFactory, MailingFactory, UserFactory
from tests.servers import RedisServer

HEADERS = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Vary")


@pytest.fixture
def other_app(environment: dict[str, str], session: Session) -> Iterator[Flask]:
    """The same service in another process, as far as caches are concerned."""
    app = create_app(TestingConfig(environment))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def lonely_app(
    environment: dict[str, str], session: Session, tmp_path: Path
) -> Iterator[tuple[Flask, RedisServer]]:
    """A service with a Redis of its own that tests may stop."""
    server = RedisServer(tmp_path)
    server.start()
    app = create_app(TestingConfig(environment | {"REDIS_URL": server.url}))
    yield app, server
    with app.app_context():
        db.engine.dispose()
    if server.process.poll() is None:
        server.stop()


class Statements:
    """Counts what an app asks its database."""

    def __init__(self, app: Flask) -> None:
        self.count = 0
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", self.note)

    def note(self, *_: object) -> None:
        self.count += 1


def edit(app: Flask, statement: object) -> None:
    """Commit a change as a view, a job or a command of this process would."""
    with app.app_context():
        db.session.execute(statement)  # type: ignore[call-overload]
        db.session.commit()


# --- Kept, and the same ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml"])
def test_a_kept_page_asks_the_database_nothing(app: Flask, visitor: FlaskClient, path: str) -> None:
    ArticleFactory.create(slug="first")
    fresh = visitor.get(path)
    statements = Statements(app)

    kept = visitor.get(path)

    assert statements.count == 0
    assert kept.status_code == 200
    assert kept.content_type == fresh.content_type
    assert {name: kept.headers.get(name) for name in HEADERS} == {
        name: fresh.headers.get(name) for name in HEADERS
    }
    assert "Set-Cookie" not in kept.headers
    assert kept.headers["Cache-Control"] == "no-cache"
    if path != "/blog/first":
        assert kept.data == fresh.data
    else:
        assert kept.data == fresh.data.replace(b"data-views>1<", b"data-views>2<")


def test_the_home_page_takes_turns_and_is_then_kept(app: Flask, visitor: FlaskClient) -> None:
    for _ in range(9):
        ArticleFactory.create()
    pages = {visitor.get("/").data for _ in range(200)}
    statements = Statements(app)

    again = {visitor.get("/").data for _ in range(50)}

    assert statements.count == 0
    assert again <= pages
    assert 1 < len(pages) <= page_cache.HOME.variants


def test_only_get_requests_are_answered_from_the_cache(visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    visitor.get("/blog/first")
    assert visitor.head("/blog/first").data == b""
    assert visitor.post("/blog/first").status_code == 405
    assert "data-views>2<" in visitor.get("/blog/first").text  # HEAD reads nothing


def test_languages_are_kept_apart(visitor: FlaskClient) -> None:
    for _ in range(2):
        english = visitor.get("/blog/", headers={"Accept-Language": "en"})
        russian = visitor.get("/blog/", headers={"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"})
        assert '<html lang="en">' in english.text
        assert '<html lang="ru">' in russian.text
        assert {"Accept-Language", "Cookie"} <= set(russian.vary)
    visitor.set_cookie("language", "ru")
    assert '<html lang="ru">' in visitor.get("/blog/", headers={"Accept-Language": "en"}).text


def test_what_a_visitor_adds_to_an_address_reaches_nobody_else(visitor: FlaskClient) -> None:
    visitor.get("/blog/?utm_source=evil&cursor=evil")
    visitor.get("/?next=//evil.example")
    visitor.get("/blog/", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    for path in ("/blog/", "/", "/blog/feed.atom", "/sitemap.xml"):
        visitor.get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        for _ in range(20):
            assert "evil" not in visitor.get(path).text


@pytest.mark.parametrize("page", ["0", "2", "01", "-1", "x", "1e3", "99999999", "", "٢"])
def test_a_page_of_the_blog_that_is_not_there_is_404(visitor: FlaskClient, page: str) -> None:
    assert visitor.get("/blog/", query_string={"page": page}).status_code == 404


# --- ETag ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml"])
def test_a_page_that_the_browser_has_is_not_sent_again(
    session: Session, visitor: FlaskClient, path: str
) -> None:
    article = ArticleFactory.create(slug="first")
    etag = visitor.get(path).headers["ETag"]

    answer = visitor.get(path, headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert answer.data == b""
    assert answer.headers["Content-Security-Policy"]

    ArticleFactory.create()
    article.title = "Другое название"
    session.flush()
    assert visitor.get(path, headers={"If-None-Match": etag}).status_code == 200


# --- Nobody else's ---------------------------------------------------------------------------


def test_nothing_of_a_signed_in_user_is_kept(app: Flask, sign_in: SignIn, visitor: FlaskClient) -> None:
    anna, boris = UserFactory.create(email="anna-secret@example.com"), UserFactory.create(name="Boris Secret")
    mine = MailingFactory.create(owner=anna, name="Annas secret mailing", state=MailingState.RUNNING)
    ArticleFactory.create(slug="first")
    browsers = [sign_in(anna), sign_in(boris)]
    for _ in range(3):
        for path in ("/", "/blog/", "/blog/first"):
            of_anna = browsers[0].get(path)
            of_boris = browsers[1].get(path)
            assert "anna-secret" in of_anna.text
            assert "Boris Secret" in of_boris.text
            assert "anna-secret" not in of_boris.text
            assert mine.name not in of_boris.text
            assert of_anna.headers["Cache-Control"] == "private, no-store"
            assert "ETag" not in of_anna.headers
            for _ in range(3):
                page = visitor.get(path).text
                assert "ecret" not in page
                assert "/auth/login" in page


def test_a_page_with_a_message_for_one_visitor_is_not_kept(app: Flask, visitor: FlaskClient) -> None:
    with visitor.session_transaction() as session:
        session["_flashes"] = [("info", "only for you")]
    assert "only for you" in visitor.get("/").text
    other = app.test_client()
    for _ in range(20):
        assert "only for you" not in other.get("/").text


def test_drafts_seen_by_an_author_reach_nobody_else(sign_in: SignIn, visitor: FlaskClient) -> None:
    draft = ArticleFactory.create(slug="secret", title="Secret plans", published_at=None)
    author = sign_in(UserFactory.create(role=Role.CONTENT))
    assert draft.title in author.get("/blog/").text
    assert author.get("/blog/secret").status_code == 200
    for path in ("/", "/blog/", "/blog/feed.atom", "/sitemap.xml"):
        assert "ecret" not in visitor.get(path).text
    assert visitor.get("/blog/secret").status_code == 404


# --- Never stale -----------------------------------------------------------------------------


def test_an_edit_in_one_process_is_seen_in_the_other_at_once(
    app: Flask, other_app: Flask, visitor: FlaskClient
) -> None:
    article = ArticleFactory.create(slug="first", author__name="Before Name")
    paths = ("/", "/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml")
    there = other_app.test_client()
    for path in paths:
        for _ in range(20):
            there.get(path)

    edit(app, update(Article).where(Article.id == article.id).values(title="New title", slug="second"))
    for path in ("/", "/blog/", "/blog/second", "/blog/feed.atom"):
        assert "New title" in there.get(path).text
    assert there.get("/blog/first").status_code == 404
    assert "/blog/second" in there.get("/sitemap.xml").text

    edit(app, update(Article).values(body="Quite **different**"))
    assert "Quite <strong>different</strong>" in there.get("/blog/second").text
    edit(app, update(User).where(User.id == article.author_id).values(name="After Name"))
    assert "After Name" in there.get("/blog/second").text
    edit(app, update(Article).values(published_at=None))
    assert there.get("/blog/second").status_code == 404
    edit(app, update(Article).values(published_at=utcnow()))
    assert there.get("/blog/second").status_code == 200
    edit(app, delete(Article))
    assert there.get("/blog/second").status_code == 404
    for path in ("/", "/blog/", "/blog/feed.atom", "/sitemap.xml"):
        assert "second" not in there.get(path).text


def test_the_counters_follow_every_change(app: Flask, other_app: Flask, visitor: FlaskClient) -> None:
    there = other_app.test_client()
    owner = UserFactory.create()

    def numbers() -> list[str]:
        section = there.get("/").text.partition('class="totals"')[2].partition("</section>")[0]
        return [part.partition("</strong>")[0] for part in section.split("<strong>")[1:]]

    assert numbers() == ["0", "0", "0"]
    client = Client(owner_id=owner.id, email="a@example.org", email_key="a@example.org")
    with app.app_context():
        db.session.add(client)
        db.session.commit()
    assert numbers() == ["0", "0", "1"]
    mailing = MailingFactory.create(owner=owner)
    assert numbers() == ["1", "0", "1"]
    edit(app, update(Mailing).where(Mailing.id == mailing.id).values(state=MailingState.RUNNING))
    assert numbers() == ["1", "1", "1"]
    edit(app, delete(Client))
    edit(app, delete(Mailing))
    assert numbers() == ["0", "0", "0"]


def test_a_page_made_of_old_rows_is_not_served_after_the_edit(
    app: Flask, other_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process reads the article, another edits it, only then does the first keep its page."""
    article = ArticleFactory.create(slug="first", title="Old title")
    keep = page_cache._keep

    def keep_late(*what: object) -> None:
        edit(other_app, update(Article).where(Article.id == article.id).values(title="New title"))
        keep(*what)  # type: ignore[arg-type]

    monkeypatch.setattr(page_cache, "_keep", keep_late)
    assert "Old title" in app.test_client().get("/blog/first").text
    monkeypatch.undo()
    assert "New title" in app.test_client().get("/blog/first").text
    assert "New title" in other_app.test_client().get("/blog/first").text


def test_a_future_article_appears_on_time(visitor: FlaskClient) -> None:
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


# --- Redis emptied, stopped, and back -----------------------------------------------------------


def test_an_emptied_redis_shows_nothing_stale(
    app: Flask, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    article = ArticleFactory.create(slug="first", title="Old title")
    visitor.get("/blog/first")
    redis_server.client.flushall()
    edit(app, update(Article).where(Article.id == article.id).values(title="New title"))
    redis_server.client.flushall()
    assert "New title" in visitor.get("/blog/first").text
    assert "New title" in visitor.get("/blog/first").text


def test_without_redis_pages_work_and_it_is_logged_once(
    lonely_app: tuple[Flask, RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    app, redis = lonely_app
    visitor = app.test_client()
    article = ArticleFactory.create(slug="first", title="Old title")
    paths = ("/", "/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml", "/robots.txt")
    for path in paths:
        visitor.get(path)
    redis.stop()
    caplog.set_level(logging.INFO)
    for _ in range(3):
        for path in paths:
            assert visitor.get(path).status_code == 200
    edit(app, update(Article).where(Article.id == article.id).values(title="New title"))
    for path in ("/", "/blog/", "/blog/first", "/blog/feed.atom"):
        assert "New title" in visitor.get(path).text

    about_redis = [record for record in caplog.records if record.name == "skymailing.shared_cache"]
    assert len(about_redis) == 1
    assert "Redis is away" in about_redis[0].message


def test_what_was_edited_while_redis_was_away_is_not_undone_by_its_return(
    lonely_app: tuple[Flask, RedisServer],
) -> None:
    app, redis = lonely_app
    visitor = app.test_client()
    article = ArticleFactory.create(slug="first", title="Old title")
    for _ in range(2):
        visitor.get("/blog/first")
    redis.client.config_set("appendfsync", "always")
    redis.stop()
    edit(app, update(Article).where(Article.id == article.id).values(title="New title"))
    redis.start()
    assert redis.client.keys("skymailing:cache:page:*"), "it remembers the old page"

    with time_machine.travel(utcnow() + timedelta(seconds=3)):
        assert "New title" in visitor.get("/blog/first").text
        assert "New title" in visitor.get("/blog/first").text


def test_the_sweep_finds_edits_that_nobody_announced(
    app: Flask, visitor: FlaskClient, session: Session, redis_server: RedisServer
) -> None:
    article = ArticleFactory.create(slug="first", title="Old title")
    with app.app_context():
        freshness.catch_up()
    visitor.get("/blog/first")
    words = redis_server.client.get("skymailing:cache:version:articles")
    article.title = "New title"
    session.flush()
    redis_server.client.set("skymailing:cache:version:articles", words or b"")  # as if it had been away
    assert "Old title" in visitor.get("/blog/first").text

    with app.app_context():
        freshness.catch_up()

    assert "New title" in visitor.get("/blog/first").text


def test_nothing_in_redis_is_a_pickle(visitor: FlaskClient, redis_server: RedisServer) -> None:
    ArticleFactory.create(slug="first")
    for path in ("/", "/blog/first", "/blog/feed.atom"):
        visitor.get(path)
    keys = redis_server.client.keys("skymailing:cache:*")
    assert len(keys) > 5
    for key in keys:
        value = redis_server.client.get(key)
        if b":version:" in key:
            assert value.isalnum()
        elif b":page:" in key:
            json.loads(value.partition(b"\n")[0])
        else:
            json.loads(value)
