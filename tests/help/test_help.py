"""Test the help pages: their languages, links, search, and the question marks that lead to them."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import RequestRedirect

from skymailing.help.pages import PICTURED, TEXTS, list_slugs
from skymailing.models import User
from tests.support.factories import MessageFactory

# The texts are files.
pytestmark = pytest.mark.one_engine
LANGUAGES = ("en", "ru")
MAX_WORDS = 220
TEMPLATES = Path(__file__).parents[2] / "skymailing" / "templates"


def find_titles(visitor: FlaskClient, query: str, language: str = "en") -> list[str]:
    page = visitor.get("/help/", query_string={"q": query}, headers={"Accept-Language": language}).text
    return [heading.get_text() for heading in BeautifulSoup(page, "html.parser").select(".cards h3")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_exists_in_every_language(visitor: FlaskClient, language: str) -> None:
    assert {path.stem for path in (TEXTS / language).iterdir()} == set(list_slugs())
    for slug in list_slugs():
        response = visitor.get(f"/help/{slug}", headers={"Accept-Language": language})
        assert response.status_code == 200
        assert f'<html lang="{language}"' in response.text
        assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("slug", list_slugs())
def test_pages_are_short_and_their_links_work(app: Flask, language: str, slug: str) -> None:
    text = (TEXTS / language / f"{slug}.md").read_text()
    assert text.startswith("# ")
    assert len(re.findall(r"\w+", text)) <= MAX_WORDS
    routes = app.url_map.bind("localhost")
    for target in re.findall(r"\]\((/[^)]*)\)", text):
        try:
            endpoint, values = routes.match(target, method="GET")
        except RequestRedirect:
            pytest.fail(f"{target} redirects")
        assert endpoint != "help.page" or values["slug"] in set(list_slugs())


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_have_pictures_for_both_themes(visitor: FlaskClient, language: str) -> None:
    for slug in list_slugs():
        page = visitor.get(f"/help/{slug}", headers={"Accept-Language": language}).text
        sources = [str(image["src"]) for image in BeautifulSoup(page, "html.parser").select(".shot img")]
        assert len(sources) == (2 if slug in PICTURED else 0)
        assert all(f"/{slug}.{language}." in source for source in sources)
        assert all(visitor.get(source).mimetype == "image/webp" for source in sources)


def test_the_list_links_to_every_page(visitor: FlaskClient) -> None:
    page = visitor.get("/help/").text
    assert all(f'href="/help/{slug}"' in page for slug in list_slugs())


def test_the_search_finds_pages_with_most_words(visitor: FlaskClient) -> None:
    assert find_titles(visitor, "Unsubscribe")[0] == "How people unsubscribe"
    assert find_titles(visitor, "variants winner") == ["Compare variants in an A/B test"]
    assert find_titles(visitor, "xylophone variants winner") == ["Compare variants in an A/B test"]
    assert find_titles(visitor, "xylophone") == []
    assert find_titles(visitor, "...") == []


def test_short_words_are_found_only_as_a_whole(visitor: FlaskClient) -> None:
    assert find_titles(visitor, "a/b")[0] == "Compare variants in an A/B test"
    assert find_titles(visitor, "im") == []


def test_pages_are_found_by_words_that_they_do_not_show(visitor: FlaskClient) -> None:
    assert find_titles(visitor, "bounces") == ["When emails come back"]
    page = visitor.get("/help/returned-mail").text
    assert "bounces" not in page
    assert "[search]" not in page


def test_the_search_finds_other_forms_of_russian_words(visitor: FlaskClient) -> None:
    assert "Шаблоны" in find_titles(visitor, "шаблонами", "ru")
    assert "Учётная запись и данные" in find_titles(visitor, "учетной записью", "ru")


def test_the_query_is_shown_as_text(visitor: FlaskClient) -> None:
    page = visitor.get("/help/", query_string={"q": "<b>x</b>"}).text
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_unknown_pages_are_not_found(visitor: FlaskClient) -> None:
    assert visitor.get("/help/nothing").status_code == 404
    assert visitor.get("/help/..%2Fen%2Fimport").status_code == 404


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/clients/import", "import"),
        ("/forms/", "forms"),
        ("/segments/", "segments"),
        ("/messages/", "first-message"),
        ("/messages/layouts", "layouts"),
        ("/senders/", "sender-domain"),
        ("/mailings/", "mailing"),
        ("/sequences/", "sequences"),
        ("/topics/", "topics"),
        ("/logs/returned", "returned-mail"),
        ("/auth/api-keys", "api-keys"),
        ("/clients/suppressions/", "unsubscribing"),
        ("/clients/", "manage-clients"),
        ("/clients/attributes", "client-data"),
        ("/mailings/new", "mailing"),
        ("/mailings/archive/", "archive"),
        ("/senders/servers/", "mail-servers"),
        ("/brand/", "brand"),
        ("/webhooks/", "webhooks"),
        ("/letters/", "transactional"),
        ("/logs/", "statistics"),
    ],
)
def test_a_question_mark_leads_to_the_help(browser: FlaskClient, path: str, slug: str) -> None:
    page = BeautifulSoup(browser.get(path).text, "html.parser")
    links = [link["href"] for link in page.select("h1 .help-link")]
    assert links == [f"/help/{slug}"]


def test_states_and_fields_link_to_the_help(browser: FlaskClient, user: User) -> None:
    MessageFactory.create(owner=user)
    links = {
        link["href"]
        for path in ("/mailings/new", "/messages/new", "/auth/profile")
        for link in BeautifulSoup(browser.get(path).text, "html.parser").select('main a[href^="/help/"]')
    }
    fields = ("local-time", "recurring", "ab-test", "statistics", "unclear-emails", "client-data", "limits")
    assert links >= {f"/help/{slug}" for slug in fields}


def test_every_help_page_is_linked_from_another_page() -> None:
    templates = "".join(path.read_text() for path in TEMPLATES.rglob("*.html"))
    texts = "".join((TEXTS / "en" / f"{slug}.md").read_text() for slug in list_slugs())
    for slug in list_slugs():
        names = (f"slug='{slug}'", f'help_link("{slug}"', f'help="{slug}"')
        assert any(name in templates for name in names) or f"(/help/{slug})" in texts, slug


def test_every_page_links_to_the_help(browser: FlaskClient, visitor: FlaskClient) -> None:
    for client in (browser, visitor):
        page = BeautifulSoup(client.get("/blog/").text, "html.parser")
        assert page.select('.site-footer a[href="/help/"]')


def test_a_page_leads_to_others_about_its_subject(visitor: FlaskClient) -> None:
    page = visitor.get("/help/import").text
    related = page.partition('class="help-related"')[2].partition("</nav>")[0]
    assert "/help/segments" in related
    assert "/help/import" not in related
    assert "/help/mailing" not in related
