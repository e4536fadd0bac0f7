"""Test image uploads: which files are accepted, how they are stored, and how they are served."""

import io
import struct
import zlib

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from sqlalchemy.orm import Session

from skymailing.blog.images import store_image
from skymailing.errors import UserError
from skymailing.web.error_texts import explain
from skymailing.web.images import MAX_BYTES
from skymailing.web.picture_files import article_directory, parse_name
from tests.support.factories import ArticleFactory

# Images are stored as files.
pytestmark = pytest.mark.one_engine


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def store(app: Flask, content: bytes) -> str:
    with app.test_request_context():
        return store_image(io.BytesIO(content))


def get_error(app: Flask, content: bytes) -> str:
    """Return the text of the error with which an upload is rejected."""
    with pytest.raises(UserError) as error:
        store(app, content)
    with app.test_request_context():
        return explain(error.value)


def open_stored(app: Flask, name: str) -> Image.Image:
    with app.app_context():
        image = Image.open(article_directory() / name)
    image.load()
    return image


def is_dark(image: Image.Image, x: int, y: int) -> bool:
    value = image.getpixel((x, y))
    assert isinstance(value, int), "a grayscale image has one number per pixel"
    return value < 128


def make_png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png_of_size(width: int, height: int) -> bytes:
    """Return a small PNG file whose header declares this size."""
    head = make_png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = make_png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + head + body + make_png_chunk(b"IEND", b"")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>steal()</script></svg>'
PHOTO = Image.effect_noise((2000, 1000), 40).convert("RGB")
SMALL_PHOTO = PHOTO.crop((0, 0, 400, 300))


def test_a_photo_is_stored_in_several_sizes(app: Flask) -> None:
    name = store(app, encode(PHOTO, "JPEG"))
    picture = parse_name(name)

    assert picture is not None
    assert [(copy.width, copy.height) for copy in picture.sizes()] == [
        (400, 200),
        (800, 400),
        (1200, 600),
        (1600, 800),
    ]
    for copy in picture.sizes():
        assert open_stored(app, copy.name).size == (copy.width, copy.height)
        assert open_stored(app, copy.name).format == "JPEG"


def test_the_same_photo_is_stored_once(app: Flask) -> None:
    content = encode(PHOTO, "PNG")
    assert store(app, content) == store(app, content)


def test_a_small_image_is_not_enlarged(app: Flask) -> None:
    picture = parse_name(store(app, encode(Image.new("RGB", (300, 200), "red"), "PNG")))
    assert picture is not None
    assert [copy.width for copy in picture.sizes()] == [300]


def test_transparency_is_kept(app: Flask) -> None:
    name = store(app, encode(Image.new("RGBA", (300, 200), (255, 0, 0, 0)), "PNG"))
    assert name.endswith(".webp")
    assert open_stored(app, name).convert("RGBA").getchannel("A").getpixel((10, 10)) == 0


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "I;16", "LA"])
def test_all_color_modes_are_accepted(app: Flask, mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    name = store(app, encode(Image.new(mode, (40, 30)), kind))
    assert open_stored(app, name).size == (40, 30)


def test_16_bit_gray_keeps_its_brightness(app: Flask) -> None:
    name = store(app, encode(Image.new("I;16", (40, 30), 0x8080), "PNG"))
    assert open_stored(app, name).convert("L").getpixel((20, 15)) == pytest.approx(0x80, abs=2)


def test_metadata_is_removed(app: Flask) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-PLACE"
    exif[0x0112] = 6  # rotated by 90 degrees
    photo = encode(PHOTO, "JPEG", exif=exif, comment=b"SECRET-PLACE", icc_profile=b"SECRET-PLACE" * 20)
    texts = PngInfo()
    texts.add_text("Comment", "SECRET-PLACE")
    transparent = encode(PHOTO.convert("RGBA"), "PNG", pnginfo=texts, exif=exif)

    for content in (photo, transparent):
        assert b"SECRET-PLACE" in content
        picture = parse_name(store(app, content))
        assert picture is not None
        assert picture.height > picture.width  # rotated before the orientation tag was removed
        with app.app_context():
            for copy in picture.sizes():
                assert b"SECRET-PLACE" not in (article_directory() / copy.name).read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(app: Flask, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "hello", orientation
    marked = Image.new("RGB", (64, 32), "white")
    marked.paste("black", (0, 0, 32, 16))
    content = encode(marked, "JPEG", exif=exif, quality=95)
    # Some programs write a tag with the wrong type.
    malformed = content.replace(b"\x01\x0e\x00\x02", b"\x01\x15\x00\x02", 1)
    assert malformed != content

    name = store(app, malformed)

    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("L")
    result = open_stored(app, name).convert("L")
    assert result.size == expected.size
    width, height = result.size
    for x, y in ((8, 8), (width - 8, 8), (8, height - 8), (width - 8, height - 8)):
        assert is_dark(result, x, y) is is_dark(expected, x, y)


def test_pages_work_when_an_image_file_is_missing(app: Flask, session: Session, visitor: FlaskClient) -> None:
    name = store(app, encode(PHOTO, "JPEG"))
    ArticleFactory.create(slug="first", image=name, image_alt="A hand, waving")
    with app.app_context():
        (article_directory() / name).unlink()
    assert visitor.get(f"/blog/media/{name}").status_code == 404
    for path in ("/", "/blog/", "/blog/first", "/blog/feed.atom"):
        response = visitor.get(path)
        assert response.status_code == 200
        assert "A hand, waving" in response.text


def test_data_appended_to_an_image_is_removed(app: Flask) -> None:
    content = encode(PHOTO, "JPEG") + b"<script>steal()</script>PK\x03\x04"
    with app.app_context():
        kept = (article_directory() / store(app, content)).read_bytes()
    assert b"steal" not in kept
    assert b"PK\x03\x04" not in kept[-100:]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        SVG,
        b'<?xml version="1.0"?>' + SVG,
        b"\x89PNG\r\n\x1a\n" + SVG,
        b"\xff\xd8\xff\xe0" + SVG,
        b"RIFF\x00\x00\x00\x00WEBP" + SVG,
        b"<html><script>steal()</script></html>",
        encode(SMALL_PHOTO, "JPEG")[:20_000],
        encode(SMALL_PHOTO, "PNG")[:20_000],
        encode(SMALL_PHOTO, "WEBP")[:20_000],
        encode(SMALL_PHOTO.convert("P"), "GIF"),
        encode(SMALL_PHOTO, "TIFF"),
        make_png_of_size(1000, 1000),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_file_that_is_not_a_complete_image_is_rejected(app: Flask, content: bytes) -> None:
    assert "JPEG, PNG or WebP" in get_error(app, content)


@pytest.mark.parametrize("size", [(65_000, 65_000), (20_000, 20_000), (7_000, 7_000), (16_000_001, 1)])
def test_a_decompression_bomb_is_rejected_before_it_is_decoded(app: Flask, size: tuple[int, int]) -> None:
    assert "16 million pixels" in get_error(app, make_png_of_size(*size))


def test_a_file_that_is_too_large_is_rejected(app: Flask) -> None:
    assert "10 MB" in get_error(app, encode(Image.new("RGB", (50, 50)), "PNG") + bytes(MAX_BYTES))


@pytest.mark.parametrize("size", [(1, 1), (2000, 3)])
def test_a_tracking_pixel_is_rejected(app: Flask, size: tuple[int, int]) -> None:
    assert "too small" in get_error(app, encode(Image.new("RGB", size), "PNG"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../secret-key",
        "a.jpg",
        "0" * 32 + "-0x10.jpg",
        "0" * 32 + "-1x1.svg",
        "0" * 32 + "-1x1.jpg\n",
    ],
)
def test_an_invalid_file_name_is_rejected(name: str) -> None:
    assert parse_name(name) is None


def test_an_image_is_served_as_immutable_and_sandboxed(app: Flask) -> None:
    picture = parse_name(store(app, encode(PHOTO, "JPEG")))
    assert picture is not None
    for copy in picture.sizes():
        response = app.test_client().get(f"/blog/media/{copy.name}")
        assert response.status_code == 200
        assert response.content_type == "image/jpeg"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; sandbox")
        assert "Set-Cookie" not in response.headers
        response.close()


@pytest.mark.parametrize(
    "path",
    ["../secret-key", "..%2fsecret-key", "%2e%2e/secret-key", "x.jpg", f"{'0' * 32}-10x10.jpg", ".new-abc"],
)
def test_only_images_are_served(app: Flask, path: str) -> None:
    with app.app_context():
        article_directory().mkdir(exist_ok=True)
        (article_directory() / "x.jpg").write_bytes(b"not ours")
    assert app.test_client().get(f"/blog/media/{path}").status_code == 404


def test_an_article_includes_its_image_in_several_sizes(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    picture = parse_name(store(app, encode(PHOTO, "JPEG")))
    assert picture is not None
    ArticleFactory.create(slug="first", image=picture.name, image_alt='A hand, "waving"')
    for path in ("/", "/blog/", "/blog/first"):
        image = BeautifulSoup(visitor.get(path).text, "html.parser").select_one("main img[srcset]")
        assert image is not None
        assert image["alt"] == 'A hand, "waving"'
        assert (image["width"], image["height"]) == ("1600", "800")
        assert str(image["srcset"]).split(", ") == [
            f"/blog/media/{copy.name} {copy.width}w" for copy in picture.sizes()
        ]
