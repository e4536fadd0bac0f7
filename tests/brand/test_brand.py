"""A brand: what users save, what visitors see of it, and which input is rejected."""

import io
import json
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask, render_template
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.brand.queries import find_brand
from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.composing import read_source
from skymailing.models import Brand, SourceFormat, User
from skymailing.web.colors import choose_text_color, measure_contrast
from tests.mailings.pages import get_field_error
from tests.support.factories import UserFactory

pytestmark = pytest.mark.one_engine


def save(browser: FlaskClient, **changes: object) -> TestResponse:
    values: dict[str, object] = {"name": "Пекарня «Корица»", "website": "https://korica.example/"}
    return browser.post("/brand/", data=values | {"color": "#C0392B"} | changes)


def draw_logo(width: int = 960, height: int = 100) -> tuple[io.BytesIO, str]:
    file = io.BytesIO()
    Image.new("RGBA", (width, height), (200, 30, 30, 128)).save(file, "PNG")
    file.seek(0)
    return file, "logo.png"


def show_public_page(app: Flask, owner: User) -> BeautifulSoup:
    """Render the layout of public pages for this owner, as a visitor gets it."""
    with app.test_request_context("/f/example"):
        return BeautifulSoup(render_template("public/base.html", brand=find_brand(owner)), "html.parser")


def test_visitors_see_the_name_the_colour_and_the_logo(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    assert save(browser, logo=draw_logo()).status_code == 302
    brand = session.get_one(Brand, user.id)
    page = show_public_page(app, user)
    link = page.select_one(".public-header a")
    assert link is not None
    assert link["href"] == "https://korica.example/"
    picture = page.select_one(".public-header img")
    assert picture is not None
    assert picture["alt"] == "Пекарня «Корица»"
    # Half the pixels, for high-resolution screens.
    assert (picture["width"], picture["height"]) == ("240", "25")
    visitor = app.test_client()
    shown = visitor.get(str(picture["src"]))
    assert shown.mimetype == "image/png"
    assert "immutable" in shown.headers["Cache-Control"]
    assert Image.open(io.BytesIO(shown.data)).size == (480, 50)
    style = visitor.get("/brand/colors/c0392b.css")
    assert style.mimetype == "text/css"
    assert "--accent-fill: #c0392b" in style.text
    assert '/brand/colors/c0392b.css"' in str(page)
    assert page.body is not None
    assert "SkyMailing" not in page.body.get_text()
    save(browser, removes_logo="y")
    session.expire_all()
    assert visitor.get(str(picture["src"])).status_code == 404
    assert brand.logo is None


def test_without_a_brand_visitors_see_the_name_in_the_profile(app: Flask, session: Session) -> None:
    owner = UserFactory.create(name="Анна")
    session.commit()
    header = show_public_page(app, owner).select_one(".public-header")
    assert header is not None
    assert header.get_text(strip=True) == "Анна"


def test_saving_again_keeps_the_logo(session: Session, user: User, browser: FlaskClient) -> None:
    save(browser, logo=draw_logo())
    name = session.get_one(Brand, user.id).logo_name
    save(browser, name="Другое имя", removes_color="y")
    session.expire_all()
    brand = session.get_one(Brand, user.id)
    assert (brand.logo_name, brand.name, brand.color) == (name, "Другое имя", "")


@pytest.mark.parametrize(
    "website", ["javascript:alert(1)", "korica", "https://", "https://a b.example", "//evil.example"]
)
def test_a_website_must_be_a_web_address(browser: FlaskClient, website: str) -> None:
    assert "https://" in get_field_error(save(browser, website=website), "website")


def test_a_website_may_be_typed_without_https(session: Session, user: User, browser: FlaskClient) -> None:
    save(browser, website="korica.example/about")
    assert session.get_one(Brand, user.id).website == "https://korica.example/about"


def test_the_default_colour_is_not_stored(session: Session, user: User, browser: FlaskClient) -> None:
    save(browser, color="#0B5FA5")
    assert session.get_one(Brand, user.id).color == ""


@pytest.mark.parametrize("color", ["red", "#12", "#12345g", "#123456;}body{display:none"])
def test_a_colour_must_be_valid(browser: FlaskClient, color: str) -> None:
    assert "#0b5fa5" in get_field_error(save(browser, color=color), "color")


def test_a_file_that_is_not_an_image_is_rejected_and_nothing_is_saved(
    session: Session, user: User, browser: FlaskClient
) -> None:
    response = save(browser, logo=(io.BytesIO(b"<svg onload='alert(1)'/>"), "logo.svg"))
    assert get_field_error(response, "logo")
    assert 'value="Пекарня' in response.text
    assert session.get(Brand, user.id) is None


@pytest.mark.parametrize("path", ["logos/x.png", "logos/" + "0" * 32 + "-10x10.png", "colors/zzz.css"])
def test_unknown_files_are_not_found(app: Flask, path: str) -> None:
    assert app.test_client().get(f"/brand/{path}").status_code == 404


@given(st.integers(0, 0xFFFFFF))
def test_text_on_any_colour_can_be_read(number: int) -> None:
    color = f"#{number:06x}"
    assert measure_contrast(choose_text_color(color), color) >= 4


# --- Letters --------------------------------------------------------------------------------------

BLOCKS: list[dict[str, Any]] = [{"id": "a", "type": "button", "text": "Buy"}, {"id": "b", "type": "social"}]
BLOCKS += [{"id": "c", "type": "footer", "text": "Korica"}]
DESIGN = {"version": 1, "blocks": BLOCKS}
LINKS = "vk.com/korica\nhttps://t.me/korica  https://korica.example/blog"
OWN = {
    "font": "georgia",
    "background_color": "#FFF4E0",
    "text_color": "#3a2a1a",
    "link_color": "",
    "button_color": "#226650",
    "address": "Moscow, {{ Tverskaya }} 1 <b>",
    "links": LINKS,
}


def compose(session: Session, user: User) -> str:
    source = read_source(SourceFormat.BLOCKS, json.dumps(DESIGN))
    return source.compose(find_owner_brand(session, user), "en")


def test_letters_use_the_brand(app: Flask, session: Session, user: User, browser: FlaskClient) -> None:
    assert save(browser, **OWN).status_code == 302
    with app.test_request_context():
        html = compose(session, user)

    for text in ("Georgia", "#fff4e0", "#3a2a1a", "background:#226650", "Moscow, "):
        assert text in html
    page = BeautifulSoup(html, "html.parser")
    assert "Moscow, {{ Tverskaya }} 1 <b>" in page.get_text()
    assert "{{ Tverskaya" not in html  # it must not become a placeholder
    links = [str(link["href"]) for link in page.select("a[title]")]
    assert links == ["https://vk.com/korica", "https://t.me/korica", "https://korica.example/blog"]
    assert [link["title"] for link in page.select("a[title]")] == ["VK", "Telegram", "Website"]


def test_unreadable_colours_are_not_used_for_text(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    save(browser, text_color="#eeeeee", link_color="#ffff00", color="#226650")
    with app.test_request_context():
        html = compose(session, user)
    assert "#eeeeee" not in html
    assert "#ffff00" not in html


def test_public_pages_have_the_font_the_address_and_the_links(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    save(browser, **OWN)
    page = show_public_page(app, user)

    assert "Tverskaya" in page.select_one(".public-contacts").get_text()  # type: ignore[union-attr]
    assert [link.get_text() for link in page.select(".public-contacts a")] == [
        "VK",
        "Telegram",
        "korica.example",
    ]
    assert '/brand/fonts/georgia.css"' in str(page)
    visitor = app.test_client()
    assert "font-family: Georgia" in visitor.get("/brand/fonts/georgia.css").text
    assert visitor.get("/brand/fonts/comic.css").status_code == 404
    assert "/brand/colors/226650.css" in str(page)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text_color", "red"),
        ("button_color", "#12345"),
        ("font", "comic"),
        ("links", "javascript:alert(1)"),
        ("links", "https://{{ x }}.example/"),
        ("links", "\n".join(["https://a.example/"] * 13)),
        ("address", "x" * 501),
    ],
)
def test_unusable_values_are_refused(browser: FlaskClient, session: Session, field: str, value: str) -> None:
    response = save(browser, **{field: value})

    assert response.status_code == 200
    assert "field-errors" in response.text
    assert session.scalars(select(Brand)).all() == []


def test_the_preview_shows_what_is_typed(browser: FlaskClient, user: User) -> None:
    typed = {
        "button_color": "#226650",
        "font": "georgia",
        "address": "Moscow",
        "text_color": "red",
        "links": "{{",
    }
    response = browser.get("/brand/preview", query_string=typed)

    assert "sandbox" in response.headers["Content-Security-Policy"]
    for text in ("background:#226650", "Georgia", "Moscow", user.sender_name):
        assert text in response.text
    assert "red;" not in response.text
