"""Test static files with hashed names, and compressed responses."""

import gzip
import re

import pytest
from flask.testing import FlaskClient

# Files do not depend on the database.
pytestmark = pytest.mark.one_engine


def test_assets_have_hashed_names_and_are_cached_for_a_year(visitor: FlaskClient) -> None:
    page = visitor.get("/").text
    urls = re.findall(r'(?:href|src)="(/static/[^"#]+)', page)

    assert urls
    for url in set(urls):
        assert re.search(r"\.[0-9a-f]{12}(/[\w-]+)?\.\w+$", url), url
        response = visitor.get(url)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        # Otherwise, browsers would load the file again after each change of a cookie.
        assert "cookie" not in response.vary.as_set()


@pytest.mark.parametrize(("language", "fonts"), [("en", ["latin"]), ("ru", ["latin", "cyrillic"])])
def test_fonts_are_small_and_preloaded_from_where_the_stylesheet_expects_them(
    visitor: FlaskClient, language: str, fonts: list[str]
) -> None:
    page = visitor.get("/auth/login", headers={"Accept-Language": language}).text
    folder = re.search(r'href="(/static/vendor/inter\.[0-9a-f]{12}/)font\.css"', page)
    assert folder
    link = r'<link rel="preload" as="font" type="font/woff2" href="([^"]+)" crossorigin>'
    preloaded = re.findall(link, page)
    stylesheet = visitor.get(f"{folder[1]}font.css").text

    assert preloaded == [f"{folder[1]}{name}.woff2" for name in fonts]
    assert all(f'url("{name}.woff2")' in stylesheet for name in fonts)
    files = [visitor.get(url) for url in preloaded]
    assert {file.mimetype for file in files} == {"font/woff2"}
    assert sum(len(file.data) for file in files) < 60_000


def test_assets_without_a_current_hash_are_revalidated(visitor: FlaskClient) -> None:
    current = visitor.get("/static/css/site.css")
    # A page loaded before an update requests an old hash, and gets the current file.
    old = visitor.get("/static/css/site.0123456789ab.css")

    assert current.headers["Cache-Control"] == old.headers["Cache-Control"] == "no-cache"
    assert old.text == current.text
    repeated = visitor.get("/static/css/site.css", headers={"If-None-Match": current.headers["ETag"]})
    assert repeated.status_code == 304


def test_only_assets_are_served_from_the_static_folder(visitor: FlaskClient) -> None:
    for path in ("none.css", "css", "../web.py", "%2e%2e/web.py", "css/../../web.py", "/etc/passwd"):
        assert visitor.get(f"/static/{path}").status_code in (404, 308), path


@pytest.mark.parametrize("path", ["/", "/blog/", "/auth/login", "/static/css/site.css"])
def test_text_is_compressed_if_the_browser_accepts_gzip(visitor: FlaskClient, path: str) -> None:
    plain = visitor.get(path)
    compressed = visitor.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
    refused = visitor.get(path, headers={"Accept-Encoding": "gzip;q=0, br"})

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert remove_varying_parts(gzip.decompress(compressed.data)) == remove_varying_parts(plain.data)
    assert int(compressed.headers["Content-Length"]) == len(compressed.data) < len(plain.data) / 2
    for response in (plain, refused):
        assert "Content-Encoding" not in response.headers
    for response in (plain, compressed, refused):
        assert "accept-encoding" in response.vary.as_set()


def remove_varying_parts(page: bytes) -> bytes:
    """Return the page without its CSRF token and its random articles."""
    page = re.sub(rb'name="csrf_token"[^>]*>', b"", page)
    return re.sub(rb'<ul class="cards">.*?</ul>', b"", page, flags=re.DOTALL)


def test_sandboxed_previews_may_load_the_fonts(visitor: FlaskClient) -> None:
    origin = "Access-Control-Allow-Origin"
    assert visitor.get("/static/vendor/inter/latin.woff2").headers[origin] == "*"
    assert origin not in visitor.get("/static/css/site.css").headers
