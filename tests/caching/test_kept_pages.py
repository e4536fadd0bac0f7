"""Pages that are kept between requests: the same as when they were made, and sent only to who lacks them."""

import gzip
from datetime import timedelta

import pytest
import time_machine
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from skymailing.caching import middleware
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.home.cached_pages import HOME
from tests.support.factories import ArticleFactory
from tests.support.servers import RedisServer

HEADERS = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Vary")


class Statements:
    """Counts what an app asks its database."""

    def __init__(self, app: Flask) -> None:
        self.count = 0
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", self.note)

    def note(self, *_: object) -> None:
        self.count += 1


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


@pytest.mark.parametrize("path", ["/blog/", "/blog/first", "/blog/feed.atom"])
def test_a_kept_page_is_packed_for_whoever_takes_it_so(visitor: FlaskClient, path: str) -> None:
    ArticleFactory.create(slug="first", body="Words and more words. " * 200)
    packs = {"Accept-Encoding": "gzip, br"}
    fresh, kept = visitor.get(path, headers=packs), visitor.get(path, headers=packs)
    plain = visitor.get(path)

    for answer in (fresh, kept):
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["ETag"] == plain.headers["ETag"]
    unpacked = gzip.decompress(kept.data)
    assert unpacked.replace(b"data-views>2<", b"data-views>3<") == plain.data
    assert "Content-Encoding" not in plain.headers


def test_the_home_page_takes_turns_and_is_then_kept(app: Flask, visitor: FlaskClient) -> None:
    for _ in range(9):
        ArticleFactory.create()
    pages = {visitor.get("/").data for _ in range(200)}
    statements = Statements(app)

    again = {visitor.get("/").data for _ in range(50)}

    assert statements.count == 0
    assert again <= pages
    assert 1 < len(pages) <= HOME.variants


def test_a_page_whose_time_is_over_is_made_anew_once(app: Flask, visitor: FlaskClient) -> None:
    for _ in range(100):
        visitor.get("/")  # all its variants
    with time_machine.travel(utcnow() + timedelta(seconds=HOME.seconds + 1), tick=False):
        for _ in range(100):
            visitor.get("/")
        statements = Statements(app)

        for _ in range(50):
            visitor.get("/")

    assert statements.count == 0


def test_while_a_page_is_made_anew_others_get_it_as_it_was(other_app: Flask) -> None:
    visitor = other_app.test_client()
    seen: list[bytes] = []

    @other_app.after_request
    def another_asks(response: Response) -> Response:
        if is_over and not seen:
            seen.append(b"")  # the other's answer passes here too, if it is made anew
            seen[0] = other_app.test_client().get("/blog/").data
        return response

    is_over = False
    before = visitor.get("/blog/").data
    is_over = True
    with time_machine.travel(utcnow() + timedelta(seconds=601), tick=False):
        statements = Statements(other_app)
        visitor.get("/blog/")
        asked = statements.count
        visitor.get("/blog/")

    assert seen == [before]
    assert statements.count == asked


@pytest.mark.parametrize("path", ["/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml"])
def test_the_head_of_a_page_is_the_pages_own(app: Flask, visitor: FlaskClient, path: str) -> None:
    ArticleFactory.create(slug="first")
    fresh = visitor.head(path)
    statements = Statements(app)
    kept = visitor.head(path)
    page = visitor.get(path)

    assert statements.count == 0
    for head in (fresh, kept):
        assert head.data == b""
        own = {"Date": "", "X-Request-ID": ""}
        assert dict(head.headers) | own == dict(page.headers) | own
    assert visitor.head(path, headers={"If-None-Match": page.headers["ETag"]}).status_code == 304


def test_nothing_but_reading_is_answered_from_the_cache(visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    visitor.get("/blog/first")
    visitor.head("/blog/first")
    for method in ("POST", "PUT", "DELETE"):
        assert visitor.open("/blog/first", method=method).status_code == 405
    assert "data-views>2<" in visitor.get("/blog/first").text  # HEAD reads nothing


def test_a_flood_of_addresses_fills_nothing(
    app: Flask, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    for _ in range(3):
        ArticleFactory.create()
    slug = ArticleFactory.create().slug
    for path in ("/", "/blog/", f"/blog/{slug}", "/blog/feed.atom", "/sitemap.xml"):
        visitor.get(path)
    before = set(redis_server.client.keys("*"))
    for number in range(50):
        for path in (
            f"/?page={number}",
            f"/blog/?x={number}",
            f"/blog/?page=1&page={number}",
            f"/blog/?page={number + 2}",
            f"/blog/{slug}?utm_source={number}",
            f"/blog/{slug}-{number}",
            f"/blog/feed.atom?{number}",
        ):
            visitor.get(path, headers={"Accept-Language": f"en;q=0.{number + 1}, x{number}"})
    assert set(redis_server.client.keys("*")) <= before | {
        key for key in redis_server.client.keys(f"skymailing:cache:{middleware.KEY_PREFIX}:en:?:/") if key
    }


@pytest.mark.parametrize("page", ["0", "2", "01", "-1", "x", "1e3", "99999999", "", "٢"])
def test_a_page_of_the_blog_that_is_not_there_is_404(visitor: FlaskClient, page: str) -> None:
    assert visitor.get("/blog/", query_string={"page": page}).status_code == 404


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
    assert visitor.get(path, headers={"If-None-Match": "*"}).status_code == 304

    ArticleFactory.create()
    article.title = "Другое название"
    session.flush()
    assert visitor.get(path, headers={"If-None-Match": etag}).status_code == 200
