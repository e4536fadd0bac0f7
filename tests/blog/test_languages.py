"""Test that readers see the articles of their language first, and can choose a language."""

import re
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from skymailing.clock import utcnow
from skymailing.models import Article
from tests.support.factories import ArticleFactory

# Page texts do not depend on the database.
pytestmark = pytest.mark.one_engine

ATOM = "{http://www.w3.org/2005/Atom}"
RUSSIAN = {"Accept-Language": "ru"}


@pytest.fixture
def articles(visitor: FlaskClient) -> dict[str, Article]:
    """Create articles by slug; those in English are older."""
    ages = {"svezhaya": ("ru", 1), "starshe": ("ru", 2), "fresh": ("en", 3), "older": ("en", 4)}
    return {
        slug: ArticleFactory.create(
            slug=slug, language=language, published_at=utcnow() - timedelta(days=days)
        )
        for slug, (language, days) in ages.items()
    }


def list_slugs(page: str) -> list[str]:
    return re.findall(r'<h3><a href="/blog/([\w-]+)"', page)


@pytest.mark.both_engines
def test_articles_in_the_readers_language_come_first(
    visitor: FlaskClient, articles: dict[str, Article]
) -> None:
    assert list_slugs(visitor.get("/blog/").text) == ["fresh", "older", "svezhaya", "starshe"]
    page = visitor.get("/blog/", headers=RUSSIAN).text
    assert list_slugs(page) == ["svezhaya", "starshe", "fresh", "older"]
    assert re.search(
        r'<li class="card article-card" lang="en">\s*<h3><a href="/blog/fresh" hreflang="en"', page
    )


def test_the_list_shows_one_language_and_remembers_it_on_its_pages(
    visitor: FlaskClient, articles: dict[str, Article]
) -> None:
    for number in range(12):
        ArticleFactory.create(language="ru", published_at=utcnow() - timedelta(days=number + 5))
    first = visitor.get("/blog/?language=ru").text
    next_page = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = visitor.get(next_page).text

    assert "fresh" not in first + second
    assert list_slugs(first)[0] == "svezhaya"
    assert len(list_slugs(first) + list_slugs(second)) == 14
    assert re.search(r'language=ru" lang="ru" hreflang="ru" aria-current="page">Русский', second)


def test_an_unknown_language_is_not_found(visitor: FlaskClient, articles: dict[str, Article]) -> None:
    for path in ("/blog/?language=xx", "/blog/feed.atom?language=xx"):
        assert visitor.get(path).status_code == 404


def test_a_blog_in_one_language_has_no_choice(visitor: FlaskClient) -> None:
    ArticleFactory.create(language="ru")
    assert "language=" not in visitor.get("/blog/").text.partition('id="main"')[2].partition("</main>")[0]


def test_articles_of_an_earlier_release_have_no_language_and_are_still_listed(visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="unknown", language="")
    assert list_slugs(visitor.get("/blog/").text) == ["unknown"]


def test_the_home_page_prefers_the_readers_language(
    visitor: FlaskClient, articles: dict[str, Article]
) -> None:
    for _ in range(5):
        assert {"fresh", "older"} < set(list_slugs(visitor.get("/").text))
        assert {"svezhaya", "starshe"} < set(list_slugs(visitor.get("/", headers=RUSSIAN).text))


def test_each_language_has_a_feed_that_is_cached_separately(
    visitor: FlaskClient, articles: dict[str, Article]
) -> None:
    titles = {}
    for path in ("/blog/feed.atom", "/blog/feed.atom?language=ru", "/blog/feed.atom?language=en") * 2:
        feed = ElementTree.fromstring(visitor.get(path).data)
        titles[path] = [title.text for title in feed.iterfind(f"{ATOM}entry/{ATOM}title")]
        assert [link.get("href") for link in feed.iterfind(f"{ATOM}link[@rel='self']")] == [
            f"http://sky.example{path}"
        ]
    every, russian, english = titles.values()
    assert russian == [articles["svezhaya"].title, articles["starshe"].title]
    assert english == [articles["fresh"].title, articles["older"].title]
    assert every == russian + english


def test_an_article_keeps_its_language_on_a_page_in_another_one(
    visitor: FlaskClient, articles: dict[str, Article]
) -> None:
    page = visitor.get("/blog/svezhaya").text
    assert '<article class="article" lang="ru">' in page
    assert '<p class="article-meta" lang="en">' in page
    assert '<meta property="og:locale" content="ru_RU">' in page
    assert '<article class="article">' in visitor.get("/blog/svezhaya", headers=RUSSIAN).text
