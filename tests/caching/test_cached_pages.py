"""Test that cached pages equal rendered ones, and that browsers do not download them again."""

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

# Cached pages are in Redis.
pytestmark = pytest.mark.one_engine

HEADERS = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Vary")


class StatementCounter:
    """Counts the SQL statements of an app."""

    def __init__(self, app: Flask) -> None:
        self.count = 0
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", self.add)

    def add(self, *_: object) -> None:
        self.count += 1


@pytest.mark.both_engines
@pytest.mark.parametrize("path", ["/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml"])
def test_a_cached_page_needs_no_database(app: Flask, visitor: FlaskClient, path: str) -> None:
    ArticleFactory.create(slug="first")
    fresh = visitor.get(path)
    statements = StatementCounter(app)

    cached = visitor.get(path)

    assert statements.count == 0
    assert cached.status_code == 200
    assert cached.content_type == fresh.content_type
    assert {name: cached.headers.get(name) for name in HEADERS} == {
        name: fresh.headers.get(name) for name in HEADERS
    }
    assert "Set-Cookie" not in cached.headers
    assert cached.headers["Cache-Control"] == "no-cache"
    if path != "/blog/first":
        assert cached.data == fresh.data
    else:
        assert cached.data == fresh.data.replace(b"data-views>1<", b"data-views>2<")


@pytest.mark.parametrize("path", ["/blog/", "/blog/first", "/blog/feed.atom"])
def test_a_cached_page_is_compressed_if_the_browser_accepts_gzip(visitor: FlaskClient, path: str) -> None:
    ArticleFactory.create(slug="first", body="Words and more words. " * 200)
    accepts_gzip = {"Accept-Encoding": "gzip, br"}
    fresh, cached = visitor.get(path, headers=accepts_gzip), visitor.get(path, headers=accepts_gzip)
    plain = visitor.get(path)

    for response in (fresh, cached):
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["ETag"] == plain.headers["ETag"]
    decompressed = gzip.decompress(cached.data)
    assert decompressed.replace(b"data-views>2<", b"data-views>3<") == plain.data
    assert "Content-Encoding" not in plain.headers


def test_all_variants_of_the_home_page_are_cached(app: Flask, visitor: FlaskClient) -> None:
    for _ in range(9):
        ArticleFactory.create()
    pages = {visitor.get("/").data for _ in range(200)}
    statements = StatementCounter(app)

    later_pages = {visitor.get("/").data for _ in range(50)}

    assert statements.count == 0
    assert later_pages <= pages
    assert 1 < len(pages) <= HOME.variants


def test_an_expired_page_is_rendered_once(app: Flask, visitor: FlaskClient) -> None:
    for _ in range(100):
        visitor.get("/")  # all variants
    with time_machine.travel(utcnow() + timedelta(seconds=HOME.seconds + 1), tick=False):
        for _ in range(100):
            visitor.get("/")
        statements = StatementCounter(app)

        for _ in range(50):
            visitor.get("/")

    assert statements.count == 0


def test_other_requests_get_the_old_page_while_a_new_one_is_rendered(other_app: Flask) -> None:
    visitor = other_app.test_client()
    seen: list[bytes] = []

    @other_app.after_request
    def request_in_parallel(response: Response) -> Response:
        if is_expired and not seen:
            seen.append(b"")  # the parallel response also passes through here if it is rendered
            seen[0] = other_app.test_client().get("/blog/").data
        return response

    is_expired = False
    before = visitor.get("/blog/").data
    is_expired = True
    with time_machine.travel(utcnow() + timedelta(seconds=601), tick=False):
        statements = StatementCounter(other_app)
        visitor.get("/blog/")
        count = statements.count
        visitor.get("/blog/")

    assert seen == [before]
    assert statements.count == count


@pytest.mark.parametrize("path", ["/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml"])
def test_head_requests_get_the_headers_of_the_page(app: Flask, visitor: FlaskClient, path: str) -> None:
    ArticleFactory.create(slug="first")
    fresh = visitor.head(path)
    statements = StatementCounter(app)
    cached = visitor.head(path)
    page = visitor.get(path)

    assert statements.count == 0
    for head in (fresh, cached):
        assert head.data == b""
        varying = {"Date": "", "X-Request-ID": ""}
        assert dict(head.headers) | varying == dict(page.headers) | varying
    assert visitor.head(path, headers={"If-None-Match": page.headers["ETag"]}).status_code == 304


def test_only_get_and_head_are_served_from_the_cache(visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    visitor.get("/blog/first")
    visitor.head("/blog/first")
    for method in ("POST", "PUT", "DELETE"):
        assert visitor.open("/blog/first", method=method).status_code == 405
    assert "data-views>2<" in visitor.get("/blog/first").text  # a HEAD request does not count as a view


def test_requests_for_many_urls_do_not_fill_redis(
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
def test_a_missing_blog_page_returns_404(visitor: FlaskClient, page: str) -> None:
    assert visitor.get("/blog/", query_string={"page": page}).status_code == 404


@pytest.mark.parametrize("path", ["/", "/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml"])
def test_a_page_in_the_browsers_cache_is_not_sent_again(
    session: Session, visitor: FlaskClient, path: str
) -> None:
    article = ArticleFactory.create(slug="first")
    etag = visitor.get(path).headers["ETag"]

    response = visitor.get(path, headers={"If-None-Match": etag})
    assert response.status_code == 304
    assert response.data == b""
    assert response.headers["Content-Security-Policy"]
    assert visitor.get(path, headers={"If-None-Match": "*"}).status_code == 304

    ArticleFactory.create()
    article.title = "Другое название"
    session.flush()
    assert visitor.get(path, headers={"If-None-Match": etag}).status_code == 200
