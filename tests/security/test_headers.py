"""Test the security headers and cookies of every response: pages, errors, files and cached pages."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, abort, request
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from config import ProductionConfig
from skymailing import create_app
from skymailing.extensions import db, limiter
from skymailing.models import User
from tests.conftest import SignIn
from tests.security.conftest import World, csrf_token
from tests.support.factories import PASSWORD, MessageFactory

pytestmark = pytest.mark.one_engine

HTML = {"Accept": "text/html"}
ERROR_CODES = (400, 401, 403, 404, 405, 408, 413, 415, 418, 429, 500, 503)
# These pages are shown in a frame and have a stricter policy.
SANDBOXED = {
    *("messages.preview", "messages.typed", "mailings_archive.letter"),
    *("messages.preview_template", "messages.preview_layout", "brand.preview"),
    *("manager_articles.preview", "manager_mailings.letter"),
    *("auth.test_letter_html", "transactional.show_html"),
}


@pytest.fixture(scope="module")
def production(environment: dict[str, str], app: Flask) -> Iterator[Flask]:
    """Create an app with production settings and with views that fail in different ways."""
    settings = {
        **environment,
        "SKYMAILING_ENV": "production",
        "SECRET_KEY": "a long key that is used in this test alone",
        "PUBLIC_URL": "https://localhost",
    }
    config = ProductionConfig(settings)
    # The extension is shared with the main test app, where it is turned off.
    vars(config)["RATELIMIT_ENABLED"] = True
    production_app = create_app(config)

    @production_app.route("/refused/<int:code>")
    def refused(code: int) -> str:
        abort(code)

    @production_app.route("/broken")
    def broken() -> str:
        raise RuntimeError("a fault with password=hunter2")

    @production_app.route("/upload", methods=["GET", "POST"])
    def upload() -> str:
        return str(len(request.get_data()))

    yield production_app
    limiter.enabled = False
    with production_app.app_context():
        db.engine.dispose()


@pytest.fixture
def https_browser(production: Flask, session: Session) -> FlaskClient:
    """Return the browser for a visitor who uses HTTPS."""
    return production.test_client()


def get(browser: FlaskClient, path: str, **options: Any) -> TestResponse:
    return browser.get(path, base_url="https://localhost", buffered=True, **options)


def expect_headers(response: TestResponse, where: str) -> None:
    headers = response.headers
    (policy,) = headers.getlist("Content-Security-Policy")
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy, where
    assert "form-action 'self'" in policy, where
    for forbidden in ("unsafe-inline", "unsafe-eval", "*", "http:", "https:"):
        assert forbidden not in policy, where
    assert headers["X-Content-Type-Options"] == "nosniff", where
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), where
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", where
    assert int(headers["Strict-Transport-Security"].partition("=")[2]) >= 31_536_000, where
    assert "X-Powered-By" not in headers, where
    for cookie in headers.getlist("Set-Cookie"):
        for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert part in cookie, f"{where}: {cookie}"
        assert "Domain" not in cookie, where


def expect_sandboxed(response: TestResponse) -> None:
    (policy,) = response.headers.getlist("Content-Security-Policy")
    assert policy.split("; ")[:2] == ["sandbox", "default-src 'none'"]
    assert "form-action 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "allow-" not in policy
    assert "script-src" not in policy


def expect_sandboxed_page(response: TestResponse) -> None:
    """Check a letter that is shown as a page: links open, but scripts do not run."""
    (policy,) = response.headers.getlist("Content-Security-Policy")
    sandbox, default, *_ = policy.split("; ")
    assert sandbox.split() == [
        *("sandbox", "allow-popups", "allow-popups-to-escape-sandbox", "allow-downloads"),
    ]
    assert default == "default-src 'none'"
    for part in ("form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "script-src" not in policy
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/blog/", 200),
        ("/blog/feed.atom", 200),
        ("/robots.txt", 200),
        ("/healthz", 200),
        ("/static/css/site.css", 200),
        ("/static/js/site.js", 200),
        ("/static/vendor/bootstrap-icons/icons.svg", 200),
        ("/static/none.css", 404),
        ("/static/../config.py", 404),
        ("/static/%2e%2e/config.py", 404),
        ("/blog", 308),
        ("/clients/", 302),
        ("/none", 404),
        ("/blog/none", 404),
        ("/media/none.webp", 404),
        ("/auth/logout", 405),
        ("/auth/verify/x", 410),
        ("/u/x", 404),
        ("/v/x", 404),
        ("/archive/none/", 404),
        ("/archive/none/feed.xml", 404),
        ("/archive/none/none", 404),
        ("/%00", 404),
        ("/broken", 500),
        *((f"/refused/{code}", code) for code in ERROR_CODES),
    ],
)
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_every_response_has_security_headers(
    https_browser: FlaskClient, path: str, status: int, accept: str
) -> None:
    response = get(https_browser, path, headers={"Accept": accept})
    assert response.status_code == status
    expect_headers(response, path)
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_requests_rejected_before_a_view_have_security_headers(
    https_browser: FlaskClient, production: Flask, accept: str
) -> None:
    too_large = production.config["MAX_CONTENT_LENGTH"] + 1
    options: dict[str, Any] = {"base_url": "https://localhost", "headers": {"Accept": accept}}
    for response, status in (
        (https_browser.post("/upload", content_length=too_large, **options), 413),
        (https_browser.post("/auth/login", data={"email": "x"}, **options), 400),  # without a token
        (https_browser.open("/", method="DELETE", **options), 405),
        (https_browser.open("/auth/login", method="OPTIONS", **options), 200),
        (https_browser.open("/clients/", method="BREW", **options), 405),
    ):
        assert response.status_code == status
        expect_headers(response, str(status))


def test_a_throttled_response_has_security_headers(https_browser: FlaskClient, user: User) -> None:
    page = get(https_browser, "/auth/login")
    for _ in range(12):
        data = {"email": user.email, "password": "guess", "csrf_token": csrf_token(page.text)}
        options: dict[str, Any] = {
            "base_url": "https://localhost",
            "headers": HTML | {"Referer": "https://localhost/"},
        }
        response = https_browser.post("/auth/login", data=data, **options)
    assert response.status_code == 429
    expect_headers(response, "429")


def test_every_private_page_has_security_headers_and_is_not_cached(
    production: Flask, https_browser: FlaskClient, world: World
) -> None:
    token = csrf_token(get(https_browser, "/auth/login").text)
    data = {"email": world.owner.email, "password": PASSWORD, "remember": "y", "csrf_token": token}
    options: dict[str, Any] = {"base_url": "https://localhost", "headers": {"Referer": "https://localhost/"}}
    response = https_browser.post("/auth/login", data=data, **options)
    assert response.status_code == 302
    expect_headers(response, "signing in")
    names = {cookie.partition("=")[0] for cookie in response.headers.getlist("Set-Cookie")}
    assert names == {"__Host-session", "__Host-remember", "__Host-device"}
    world.arguments["code"] = 404  # for this module's own route
    for endpoint, method, path in world.requests(production):
        if method != "GET" or endpoint in ("broken", "refused"):
            continue
        response = get(https_browser, path, headers=HTML)
        if endpoint == "archive.entry":
            expect_sandboxed_page(response)
        elif endpoint in SANDBOXED and response.status_code == 200:
            expect_sandboxed(response)
        else:
            expect_headers(response, path)
        if (endpoint != "static" and "_user_id" in path) or endpoint.partition(".")[0] in ("clients", "auth"):
            assert "no-store" in response.headers["Cache-Control"], path


def test_previews_are_sandboxed(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    expect_sandboxed(browser.get(f"/messages/{message.id}/preview"))
    page = browser.get(f"/messages/{message.id}").text
    assert 'sandbox=""' in page or "sandbox>" in page or "sandbox " in page


def test_no_cached_page_contains_a_users_data(
    app: Flask, sign_in: SignIn, user: User, world: World, visitor: FlaskClient
) -> None:
    """A signed-in user requests each public page first, so their version could have been cached."""
    browser = sign_in(user)
    for path in ("/", "/blog/", f"/blog/{world.arguments['slug']}", "/blog/feed.atom", "/sitemap.xml"):
        for _ in range(2):
            browser.get(path)
            response = visitor.get(path)
            assert user.name not in response.text
            assert user.email not in response.text
            assert "Set-Cookie" not in response.headers
            assert "csrf" not in response.text
