"""Test the visible part of an article's image, which lists and social networks show."""

import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.blog.covers import Crop, find_box
from skymailing.models import Article, Role
from skymailing.web.picture_files import article_directory
from tests.conftest import SignIn
from tests.support.factories import ArticleFactory, UserFactory

# Images and forms do not depend on the database.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def author(sign_in: SignIn) -> FlaskClient:
    return sign_in(UserFactory.create(role=Role.CONTENT))


def make_image(*colors: str, width: int = 800, height: int = 1600) -> io.BytesIO:
    """Return an image with horizontal stripes of equal height."""
    image = Image.new("RGB", (width, height))
    for number, color in enumerate(colors):
        image.paste(color, (0, number * height // len(colors), width, (number + 1) * height // len(colors)))
    file = io.BytesIO()
    image.save(file, "PNG")
    file.seek(0)
    return file


def save(author: FlaskClient, session: Session, path: str = "new", **values: object) -> Article:
    fields = {"title": "T", "slug": "t", "format": "text", "body": "B", "image_alt": "A", "publish": "1"}
    response = author.post(f"/manager/articles/{path}", data={**fields, **values})
    assert response.status_code == 302, response.text
    session.expire_all()
    return session.scalars(select(Article)).one()


def read_colors(app: Flask, name: str) -> tuple[tuple[int, int], str]:
    """Return the size of a stored image, and the strongest colour of its middle."""
    with app.app_context():
        content = (article_directory() / name).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        middle = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
        assert isinstance(middle, tuple)
        return image.size, "rgb"[middle.index(max(middle))]


@pytest.mark.parametrize(
    ("size", "crop", "box"),
    [
        ((1200, 630), Crop(), (0, 0, 1200, 630)),
        ((1600, 630), Crop(), (200, 0, 1400, 630)),
        ((1600, 630), Crop(x=0), (0, 0, 1200, 630)),
        ((1600, 630), Crop(x=100), (400, 0, 1600, 630)),
        ((1200, 1630), Crop(y=100), (0, 1000, 1200, 1630)),
        ((1200, 630), Crop(x=100, y=0, zoom=200), (600, 0, 1200, 315)),
        ((16, 16), Crop(zoom=400), (6, 7, 10, 9)),
        ((1, 1600), Crop(), (0, 800, 1, 801)),
    ],
)
def test_the_visible_part_lies_within_the_image(
    size: tuple[int, int], crop: Crop, box: tuple[int, int, int, int]
) -> None:
    assert find_box(*size, crop) == box


def test_without_a_choice_the_middle_is_visible(app: Flask, session: Session, author: FlaskClient) -> None:
    article = save(author, session, image=(make_image("red", "lime", "blue"), "stripes.png"))
    assert read_colors(app, article.cover) == ((800, 420), "g")


def test_the_chosen_part_is_cut_out_and_can_be_changed_without_the_file(
    app: Flask, session: Session, author: FlaskClient, visitor: FlaskClient
) -> None:
    article = save(author, session, image=(make_image("red", "lime", "blue"), "stripes.png"), crop_y="100")
    assert read_colors(app, article.cover) == ((800, 420), "b")
    image = article.image

    article = save(author, session, f"{article.id}/edit", crop_y="0", crop_zoom="200")
    assert article.image == image
    assert read_colors(app, article.cover) == ((400, 210), "r")
    assert (article.crop_y, article.crop_zoom) == (0, 200)

    page = visitor.get("/blog/t").text
    assert re.search(rf'property="og:image" content="[^"]+/{article.cover}"', page)
    assert f'src="/blog/media/{image}"' in page, "the article shows the whole image"
    assert f'src="/blog/media/{article.cover}"' in visitor.get("/blog/").text
    with visitor.get(f"/blog/media/{article.cover}") as response:
        assert response.status_code == 200


def test_a_large_image_becomes_a_preview_of_the_usual_size(
    app: Flask, session: Session, author: FlaskClient
) -> None:
    article = save(author, session, image=(make_image("red", width=3000, height=2000), "wide.png"))
    assert read_colors(app, article.cover)[0] == (1200, 630)


def test_values_outside_the_image_are_rejected(session: Session, author: FlaskClient) -> None:
    for name, value in {"crop_x": "101", "crop_y": "-1", "crop_zoom": "99"}.items():
        fields = {"title": "T", "format": "text", "body": "B", name: value}
        assert author.post("/manager/articles/new", data=fields).status_code == 200
    assert session.scalars(select(Article)).all() == []


def test_an_article_without_a_visible_part_keeps_its_image(visitor: FlaskClient) -> None:
    picture = "0123456789abcdef" * 2 + "-1600x900.jpg"
    ArticleFactory.create(slug="old", image=picture, image_alt="x")
    page = visitor.get("/blog/old").text
    assert f'property="og:image" content="http://sky.example/blog/media/{picture}"' in page
