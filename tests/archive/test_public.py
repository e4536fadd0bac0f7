"""Read published letters as a visitor, from the cache or not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Brand, MessageFormat, Run, User
from tests.archive.letters import create_sent_run, publish
from tests.mailings.pages import get_main_text
from tests.security.test_headers import expect_sandboxed_page
from tests.support.archives import ArchiveEntryFactory, ArchiveFactory
from tests.support.factories import MailingFactory, RunFactory
from tests.support.servers import RedisServer

pytestmark = pytest.mark.one_engine

ATOM = "{http://www.w3.org/2005/Atom}"
HTML = MessageFormat.HTML
EVIL = """<html><head><title>Author's</title>
<meta http-equiv="refresh" content="0;url=https://evil.example"><script>steal()</script></head>
<body onload="steal()"><h1>Hi</h1><form action="/auth/logout"></form></body></html>"""


# --- What visitors get ------------------------------------------------------------------------


def test_scripts_in_a_letter_cannot_act_for_the_site(
    shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    """The policy gives the page an opaque origin, in which scripts do not run and forms are not submitted."""
    publish(owner, create_sent_run(shop, EVIL, format=HTML, subject="Hi"))
    for browser in (visitor, visitor, owner):  # rendered, cached, and with a session
        page = browser.get("/archive/tea-shop/hi")
        expect_sandboxed_page(page)
        assert page.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
        assert page.text.index("<title>Hi · Tea Shop</title>") < page.text.index("Author's")
        assert page.text.index("<body onload") < page.text.index("All emails from") < page.text.index("<h1>")


def test_search_engines_find_only_what_the_owner_allows(
    shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    hidden, listed = create_sent_run(shop, "a"), create_sent_run(shop, "b")
    publish(owner, hidden, slug="hidden")
    for path in ("/archive/tea-shop/hidden", "/archive/tea-shop/"):
        page = visitor.get(path)
        assert page.headers["X-Robots-Tag"] == "noindex"
        assert '<meta name="robots" content="noindex">' in page.text
    publish(owner, listed, slug="listed", is_indexed="y")
    for path in ("/archive/tea-shop/listed", "/archive/tea-shop/"):
        page = visitor.get(path)
        assert "X-Robots-Tag" not in page.headers
        assert "noindex" not in page.text
    assert visitor.get("/archive/tea-shop/hidden").headers["X-Robots-Tag"] == "noindex"
    sitemap = visitor.get("/sitemap.xml").text
    assert "http://sky.example/archive/tea-shop/listed" in sitemap
    assert "hidden" not in sitemap
    publish(owner, listed, slug="listed")
    assert "listed" not in visitor.get("/sitemap.xml").text


@pytest.mark.both_engines
def test_a_long_archive_has_pages(session: Session, shop: User, visitor: FlaskClient) -> None:
    ArchiveFactory.create(owner=shop, slug="tea-shop")
    mailing, now = MailingFactory.create(owner=shop), utcnow()
    for number in range(21):
        run = RunFactory.create(mailing=mailing, scheduled_for=now - timedelta(days=number))
        ArchiveEntryFactory.create(run=run, title=f"Letter {number}.")
    first, second = visitor.get("/archive/tea-shop/").text, visitor.get("/archive/tea-shop/?page=2").text
    assert "Letter 0." in first
    assert "Letter 20." not in first
    assert "Letter 20." in second
    assert 'rel="next"' in first
    assert 'rel="prev"' in second
    for page in ("0", "3", "01", "x"):
        assert visitor.get("/archive/tea-shop/", query_string={"page": page}).status_code == 404


def read_feed(visitor: FlaskClient, slug: str = "tea-shop") -> ElementTree.Element:
    response = visitor.get(f"/archive/{slug}/feed.xml")
    assert response.content_type == "application/atom+xml; charset=utf-8"
    return ElementTree.fromstring(response.data)


def test_the_feed_has_the_elements_that_rfc_4287_requires(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    for number in range(3):
        publish(owner, create_sent_run(shop, f"Text {number}", subject=f"Letter {number}"))
    feed = read_feed(visitor)
    assert feed.tag == ATOM + "feed"
    assert feed.findtext(ATOM + "title") == "Tea Shop"
    assert feed.findtext(f"{ATOM}author/{ATOM}name") == "Tea Shop"
    links = {link.get("rel"): link.get("href") for link in feed.findall(ATOM + "link")}
    assert links["self"] == "http://sky.example/archive/tea-shop/feed.xml"
    entries = feed.findall(ATOM + "entry")
    assert {entry.findtext(ATOM + "title") for entry in entries} == {"Letter 0", "Letter 1", "Letter 2"}
    for element in (feed, *entries):
        assert element.findtext(ATOM + "id")
        assert datetime.fromisoformat(element.findtext(ATOM + "updated") or "").tzinfo
    for entry in entries:
        link = entry.find(ATOM + "link")
        assert link is not None
        assert visitor.get(str(link.get("href")).removeprefix("http://sky.example")).status_code == 200
    ids = {entry.findtext(ATOM + "id") for entry in entries}
    owner.post("/mailings/archive/address", data={"slug": "moved"})
    moved = read_feed(visitor, "moved").findall(ATOM + "entry")
    assert {entry.findtext(ATOM + "id") for entry in moved} == ids


# --- What a manager has stopped, and what the cache keeps -------------------------------------

Stop = Callable[[Session, User, Run], None]


def block(session: Session, user: User, _run: Run) -> None:
    user.blocked_at = utcnow()
    session.flush()


def disable(session: Session, _user: User, run: Run) -> None:
    run.mailing.disabled_at = utcnow()
    session.flush()


def leave(session: Session, user: User, _run: Run) -> None:
    user.deletion_at = utcnow() + timedelta(days=7)
    session.flush()


@pytest.mark.both_engines
@pytest.mark.parametrize("stop", [block, disable, leave])
def test_stopped_letters_disappear_at_once(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient, stop: Stop
) -> None:
    run = create_sent_run(shop, "Enter your password")
    publish(owner, run, is_indexed="y")
    paths = ("/archive/tea-shop/", "/archive/tea-shop/feed.xml", "/archive/tea-shop/news")
    for path in (*paths, *paths, "/sitemap.xml"):
        assert visitor.get(path).status_code == 200
    stop(session, shop, run)
    for path in paths:
        assert visitor.get(path).status_code == 404, path
    assert "tea-shop" not in visitor.get("/sitemap.xml").text


def test_a_disabled_mailing_is_marked_for_its_owner(session: Session, shop: User, owner: FlaskClient) -> None:
    run = create_sent_run(shop, "text")
    publish(owner, run)
    disable(session, shop, run)
    assert "hidden: mailing disabled" in get_main_text(owner.get("/mailings/archive/"))


@pytest.mark.parametrize("place", ["profile", "brand"])
def test_a_new_name_is_shown_at_once(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient, place: str
) -> None:
    publish(owner, create_sent_run(shop, "text"))
    assert "Tea Shop" in visitor.get("/archive/tea-shop/").text
    if place == "profile":
        shop.name = "Coffee Shop"
    else:
        session.add(Brand(owner_id=shop.id, name="Coffee Shop"))
    session.flush()
    for path in ("/archive/tea-shop/", "/archive/tea-shop/news", "/archive/tea-shop/feed.xml"):
        page = visitor.get(path).text
        assert "Coffee Shop" in page
        assert "Tea Shop" not in page


def test_a_large_letter_is_not_cached(
    app: Flask, shop: User, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArchiveFactory.create(owner=shop, slug="tea-shop")
    runs = [create_sent_run(shop, "text") for _ in range(2)]
    for slug, size in (("small", 10_000), ("large", 300_000)):
        ArchiveEntryFactory.create(run=runs.pop(), slug=slug, html=f"<p>{'x' * size}</p>")
        assert visitor.get(f"/archive/tea-shop/{slug}").status_code == 200
    cached = [key for key in redis_server.client.keys("*") if "/archive/tea-shop/" in str(key)]
    assert [str(key).strip("'").rpartition("/")[2] for key in cached] == ["small"]


# --- What is kept -----------------------------------------------------------------------------


def test_a_published_letter_survives_the_removal_of_its_runs_details(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    run = create_sent_run(shop, "Still here")
    publish(owner, run)
    session.execute(update(Run).values(body="", details_removed_at=utcnow()))
    publish(owner, run, slug="renamed")
    assert "Still here" in visitor.get("/archive/tea-shop/renamed").text
    assert "Still here" in owner.get(f"/mailings/archive/runs/{run.id}/letter").text


def test_publishing_needs_no_visitor_to_render_anything(
    app: Flask, session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    """What visitors see is stored, so that their requests run no owner's template."""
    run = create_sent_run(shop, "Before")
    publish(owner, run)
    session.execute(update(Run).values(body="After"))
    assert "Before" in visitor.get("/archive/tea-shop/news").text
