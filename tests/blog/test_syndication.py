"""Test the feed, sitemap, robots.txt and previews on social networks."""

from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.help.pages import list_slugs
from tests.support.factories import ArticleFactory, UserFactory

# Feeds are built in Python, so they do not depend on the database engine.
pytestmark = pytest.mark.one_engine

ATOM = "{http://www.w3.org/2005/Atom}"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
PICTURE = "0123456789abcdef" * 2 + "-1600x900.jpg"


def read_feed(visitor: FlaskClient) -> ElementTree.Element:
    response = visitor.get("/blog/feed.atom")
    assert response.content_type == "application/atom+xml; charset=utf-8"
    return ElementTree.fromstring(response.data)


def get_text(element: ElementTree.Element, name: str) -> str:
    found = element.find(ATOM + name)
    assert found is not None, name
    assert found.text
    return found.text


def test_the_feed_has_the_elements_that_rfc_4287_requires(visitor: FlaskClient) -> None:
    now = utcnow()
    for number in range(22):
        ArticleFactory.create(title=f"Article {number}", published_at=now - timedelta(days=number))
    ArticleFactory.create(slug="draft", published_at=None)
    ArticleFactory.create(slug="future", published_at=now + timedelta(days=1))

    feed = read_feed(visitor)

    assert feed.tag == ATOM + "feed"
    assert get_text(feed, "id") == "http://sky.example/blog/"
    assert get_text(feed, "title")
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    links = {link.get("rel"): link.get("href") for link in feed.findall(ATOM + "link")}
    assert links["self"] == "http://sky.example/blog/feed.atom"
    entries = feed.findall(ATOM + "entry")
    assert [get_text(entry, "title") for entry in entries] == [f"Article {number}" for number in range(20)]
    assert len({get_text(entry, "id") for entry in entries}) == 20
    for element in (feed, *entries):
        assert datetime.fromisoformat(get_text(element, "updated")).tzinfo
    for entry in entries:
        assert datetime.fromisoformat(get_text(entry, "updated")) >= datetime.fromisoformat(
            get_text(entry, "published")
        )
        assert get_text(entry, "title")
        assert get_text(entry, "content")


def test_an_entry_keeps_its_id_when_its_url_changes(session: Session, visitor: FlaskClient) -> None:
    """RFC 4287, section 4.2.6: otherwise readers see an old article as a new one."""
    article = ArticleFactory.create(slug="before", body="[more](other#part)")
    (before,) = read_feed(visitor).findall(ATOM + "entry")
    article.slug, article.title = "after", "Another title"
    session.flush()
    (after,) = read_feed(visitor).findall(ATOM + "entry")
    assert get_text(before, "id") == get_text(after, "id")
    assert get_text(after, "id").startswith("http://sky.example/blog/")
    content = after.find(ATOM + "content")
    assert content is not None
    assert content.get(XML_BASE) == "http://sky.example/blog/after", "the base URL for its relative links"


def test_the_feed_is_valid_with_special_characters(visitor: FlaskClient) -> None:
    title = "A & B < C \x0b\ufffe \U0001f600 ]]>"
    ArticleFactory.create(
        title=title,
        body="<script>steal()</script>\n\n**A & B** ]]> \x1f",
        image=PICTURE,
        image_alt='"><b>&',
        author=UserFactory.create(name="<Olga & Co>"),
    )
    entry = read_feed(visitor).find(ATOM + "entry")
    assert entry is not None
    assert get_text(entry, "title") == "A & B < C  \U0001f600 ]]>"
    assert entry.findtext(f"{ATOM}author/{ATOM}name") == "<Olga & Co>"
    content = BeautifulSoup(get_text(entry, "content"), "html.parser")
    assert content.strong is not None
    assert content.strong.text == "A & B"
    assert content.script is None
    picture = content.find("img")
    assert picture is not None
    assert picture["src"] == f"http://sky.example/blog/media/{PICTURE}"
    assert picture["alt"] == '"><b>&'


def test_an_empty_feed_is_valid(visitor: FlaskClient) -> None:
    assert read_feed(visitor).findall(ATOM + "entry") == []


@pytest.mark.both_engines
def test_the_sitemap_lists_only_public_pages(visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    ArticleFactory.create(slug="draft", published_at=None)
    ArticleFactory.create(slug="future", published_at=utcnow() + timedelta(days=1))
    response = visitor.get("/sitemap.xml")
    root = ElementTree.fromstring(response.data)
    assert response.mimetype == "application/xml"
    assert root.tag == SITEMAP + "urlset"
    assert {element.text for element in root.iter(SITEMAP + "loc")} == {
        "http://sky.example/",
        "http://sky.example/blog/",
        "http://sky.example/blog/first",
        "http://sky.example/help/",
        *(f"http://sky.example/help/{slug}" for slug in list_slugs()),
    }


def test_robots_txt_names_the_sitemap_and_private_pages(visitor: FlaskClient) -> None:
    response = visitor.get("/robots.txt")
    assert response.mimetype == "text/plain"
    assert "Sitemap: http://sky.example/sitemap.xml" in response.text
    assert "Disallow: /manager/" in response.text
    assert {"Allow: /auth/login$", "Allow: /auth/register$"} < set(response.text.splitlines())
    assert "Disallow: /blog" not in response.text


def test_an_article_has_metadata_for_social_networks(visitor: FlaskClient) -> None:
    ArticleFactory.create(
        slug="first", title='Say "hello"', summary="In short & good", image=PICTURE, image_alt="A hand"
    )
    head = BeautifulSoup(visitor.get("/blog/first").text, "html.parser").head
    assert head is not None
    metadata = {tag.get("property") or tag.get("name"): tag.get("content") for tag in head.find_all("meta")}
    assert metadata["og:title"] == 'Say "hello"'
    assert metadata["og:description"] == metadata["description"] == "In short & good"
    assert metadata["og:type"] == "article"
    assert metadata["og:url"] == "http://sky.example/blog/first"
    assert metadata["og:image"] == f"http://sky.example/blog/media/{PICTURE}"
    assert (metadata["og:image:width"], metadata["og:image:height"]) == ("1600", "900")
    assert metadata["og:image:alt"] == "A hand"
    assert metadata["twitter:card"] == "summary_large_image"
    canonical = head.find("link", rel="canonical")
    assert canonical is not None
    assert canonical["href"] == "http://sky.example/blog/first"


def test_home_and_blog_have_previews_and_link_to_the_feed(visitor: FlaskClient) -> None:
    for path in ("/", "/blog/"):
        page = visitor.get(path).text
        assert f'<meta property="og:url" content="http://sky.example{path}">' in page
        assert 'type="application/atom+xml" href="/blog/feed.atom"' in page
