"""Test our templates: their required parts, their readability, and their support by mail programs."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape

import pytest
from bs4 import BeautifulSoup, Tag
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.delivery.composition.document import read_document
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.delivery.rendering.letter import Content, Recipient, Rendered, preview
from skymailing.messages.starters import CATEGORIES, DESIGN_KEYS, KEYS, PICTURES, list_cards, read_starter
from skymailing.messages.starters.marked_text import make_delta
from skymailing.models import Message, User
from skymailing.web.colors import measure_contrast
from tests.support.factories import UserFactory
from tests.support.mail_support import measure_support
from tests.support.starters import PICTURES as PICTURES_URL
from tests.support.starters import compose_starter

pytestmark = pytest.mark.one_engine

UNSUBSCRIBE = "https://mail.example/u/token"
MAX_SIZE = 60_000  # bytes
READABLE = 4.5
COLORS = re.compile(r"(?:^|;)\s*(color|background|background-color):\s*(#[0-9a-f]{6})")
each_language = pytest.mark.parametrize("language", LANGUAGES)


def render(content: Content) -> Rendered:
    """Render the letter for a client with only an address."""
    recipient = Recipient("a@b.example", "", {})
    return preview(content, recipient, sender_name="Rose", unsubscribe_url=UNSUBSCRIBE)


def list_colors(element: Tag, color: str, background: str) -> Iterator[tuple[str, str, str]]:
    """Yield each text inside an element with its colour and the colour behind it."""
    for name, value in COLORS.findall(str(element.get("style", ""))):
        color, background = (value, background) if name == "color" else (color, value)
    for child in element.children:
        if isinstance(child, Tag):
            yield from list_colors(child, color, background)
        elif str(child).strip("\xa0\u200c\n "):
            yield str(child), color, background


@each_language
@pytest.mark.parametrize("key", KEYS)
def test_each_letter_is_complete(key: str, language: str) -> None:
    letter = render(compose_starter(key, language))

    assert letter.subject.strip(", ")
    assert letter.html.count(UNSUBSCRIBE) == 1
    assert f'<html lang="{language}"' in letter.html
    assert 'name="color-scheme" content="light dark"' in letter.html
    assert "prefers-color-scheme: dark" in letter.html
    assert len(letter.html.encode()) < MAX_SIZE
    assert len(letter.text) > 100
    assert measure_support(letter.html) >= 0.95
    shown = BeautifulSoup(letter.html, "html.parser").get_text(" ")
    assert not re.search(r"\{\{|\[\[|\*\*| [!,]", shown)


@each_language
@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_pictures_have_texts_and_links_have_addresses(key: str, language: str) -> None:
    page = BeautifulSoup(render(compose_starter(key, language)).html, "html.parser")

    for picture in page.find_all("img"):
        assert str(picture["alt"]).strip()
        source = str(picture["src"])
        assert source.startswith(PICTURES_URL)
        assert (PICTURES / source.removeprefix(PICTURES_URL)).is_file()
    for link in page.find_all("a"):
        assert re.match(r"https://|tel:", str(link["href"]))
        assert link.get_text(strip=True) or link.find("img")


@each_language
@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_texts_have_enough_contrast(key: str, language: str) -> None:
    body = BeautifulSoup(render(compose_starter(key, language)).html, "html.parser").body
    assert body is not None

    weak = [
        (text, color, background)
        for text, color, background in list_colors(body, "#000000", "#ffffff")
        if measure_contrast(color, background) < READABLE
    ]
    assert weak == []


@pytest.mark.parametrize("key", DESIGN_KEYS)
def test_languages_have_the_same_design(key: str) -> None:
    designs = [json.loads(read_starter(key, language, PICTURES_URL)["source"]) for language in LANGUAGES]

    shapes = [[(block.type, block.style) for block in read_document(design).walk()] for design in designs]
    assert shapes[0] == shapes[1]
    assert designs[0]["blocks"] != designs[1]["blocks"]
    texts = [list(_list_texts(design["blocks"])) for design in designs]
    assert not any(re.search("[А-Яа-яЁё]", text) for text in texts[list(LANGUAGES).index("en")])


def _list_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _list_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _list_texts(item)


def test_an_owners_colours_replace_those_of_the_template() -> None:
    own = json.loads(read_starter("sale", "en", PICTURES_URL)["source"])
    branded = json.loads(read_starter("sale", "en", PICTURES_URL, OwnerBrand(color="#226650"))["source"])

    accent = own["settings"]["button"]
    assert "button" not in branded["settings"]
    assert branded["settings"]["background"] == own["settings"]["background"]
    assert accent in json.dumps(own["blocks"])
    assert json.dumps(own["blocks"]).replace(accent, "#226650") == json.dumps(branded["blocks"])


@each_language
def test_the_gallery_shows_each_template(sign_in: Callable[[User], FlaskClient], language: str) -> None:
    browser = sign_in(UserFactory.create(locale=language))
    page = unescape(browser.get("/messages/templates").text)

    for card in list_cards(language):
        assert f"/messages/new?starter={card.key}" in page
        assert card.name in page
    assert {card.category for card in list_cards(language)} == set(CATEGORIES)


def test_pictures_are_public_and_can_be_shown_by_webmail(visitor: FlaskClient) -> None:
    with visitor.get("/messages/designs/cafe.png") as response:
        assert response.mimetype == "image/png"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Set-Cookie" not in response.headers
    for name in ("none.png", "..%2f__init__.py", "../__init__.py"):
        assert visitor.get(f"/messages/designs/{name}").status_code == 404


def test_remaining_example_links_are_reported(browser: FlaskClient, session: Session) -> None:
    form = read_starter("sale", "en", PICTURES_URL)
    page = browser.post("/messages/new", data=form, follow_redirects=True).text
    assert "still has example links" in page
    message = session.scalars(select(Message)).one()
    mailing = browser.get(f"/mailings/new?message={message.id}").text
    assert "still has example links" in mailing

    form["source"] = form["source"].replace("https://example.com/", "https://shop.example/")
    page = browser.post(f"/messages/{message.id}/edit", data=form, follow_redirects=True).text
    assert "still has example links" not in page


def test_marked_up_text_is_converted_to_formatted_text() -> None:
    assert make_delta("Hi **you**, {{ name }}!\nSee [this](https://a.example/)\n- one\n1. two") == {
        "ops": [
            {"insert": "Hi "},
            {"insert": "you", "attributes": {"bold": True}},
            {"insert": ", "},
            {"insert": {"placeholder": "{{ name }}"}},
            {"insert": "!"},
            {"insert": {"softbreak": True}},
            {"insert": "See "},
            {"insert": "this", "attributes": {"link": "https://a.example/"}},
            {"insert": "\n"},
            {"insert": "one"},
            {"insert": "\n", "attributes": {"list": "bullet"}},
            {"insert": "two"},
            {"insert": "\n", "attributes": {"list": "ordered"}},
        ]
    }
