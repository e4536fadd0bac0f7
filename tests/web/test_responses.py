"""Test security headers, error pages, and the parts that all pages share."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask, Response, abort, request
from flask.testing import FlaskClient

import config
from skymailing import create_app
from skymailing.extensions import db
from skymailing.web.responses import SECURITY_HEADERS
from tests.conftest import SignIn
from tests.support.factories import UserFactory

# Headers and error pages do not depend on the database.
pytestmark = pytest.mark.one_engine

HTML = {"Accept": "text/html,*/*;q=0.8"}


class ErrorPagesConfig(config.TestingConfig):
    """Turn exceptions into error pages, as in production, instead of raising them in the test."""

    PROPAGATE_EXCEPTIONS = False


@pytest.fixture(scope="module")
def faulty_app(environment: dict[str, str]) -> Iterator[Flask]:
    """Yield an app on the same database with extra views that fail or set their own policy."""
    app = create_app(ErrorPagesConfig(environment))

    @app.route("/broken")
    def broken() -> str:
        raise RuntimeError("a fault")

    @app.route("/refused/<int:code>")
    def refused(code: int) -> str:
        abort(code)

    @app.route("/framed")
    def framed() -> Response:
        return Response("<p>", headers={"Content-Security-Policy": "sandbox; frame-ancestors 'self'"})

    @app.route("/upload", methods=["POST"])
    def upload() -> str:
        return str(len(request.get_data()))

    yield app
    dispose(app)


def dispose(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def faulty_client(faulty_app: Flask, session: object) -> FlaskClient:
    return faulty_app.test_client()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/blog/", 200),
        ("/language", 200),
        ("/healthz", 200),
        ("/static/css/site.css", 200),
        ("/static/none.css", 404),
        ("/none", 404),
        ("/blog", 308),
        ("/refused/400", 400),
        ("/refused/403", 403),
        ("/refused/405", 405),
        ("/refused/413", 413),
        ("/refused/429", 429),
        ("/broken", 500),
    ],
)
def test_every_response_has_the_security_headers(faulty_client: FlaskClient, path: str, status: int) -> None:
    response = faulty_client.get(path, headers=HTML, buffered=True)

    assert response.status_code == status
    for name, value in SECURITY_HEADERS.items():
        assert response.headers[name] == value
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]


def test_a_views_own_policy_is_kept(faulty_client: FlaskClient) -> None:
    response = faulty_client.get("/framed")

    assert response.headers.getlist("Content-Security-Policy") == ["sandbox; frame-ancestors 'self'"]


def test_only_production_requires_https(faulty_client: FlaskClient, environment: dict[str, str]) -> None:
    settings = {
        **environment,
        "SKYMAILING_ENV": "production",
        "SECRET_KEY": "a long key that only this test has, really",
        "PUBLIC_URL": "https://sky.example",
    }
    production = create_app(config.ProductionConfig(settings))

    response = production.test_client().get("/healthz")
    dispose(production)

    assert "max-age=31536000" in response.headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in faulty_client.get("/healthz").headers


@pytest.mark.parametrize("code", [400, 403, 404, 405, 413, 429, 500, 503])
def test_an_error_page_has_the_sites_design(faulty_client: FlaskClient, code: int) -> None:
    response = faulty_client.get(f"/refused/{code}", headers=HTML)

    assert response.status_code == code
    assert response.mimetype == "text/html"
    assert '<main id="main"' in response.text
    assert f">{code}<" in response.text


def test_programs_get_errors_as_plain_text(faulty_client: FlaskClient) -> None:
    response = faulty_client.get("/refused/404", headers={"Accept": "*/*"})

    assert response.mimetype == "text/plain"
    assert response.text.startswith("404 Page not found\n")


def test_an_error_keeps_its_own_headers(faulty_client: FlaskClient) -> None:
    response = faulty_client.post("/blog/", headers=HTML)

    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_an_internal_error_shows_no_details(faulty_client: FlaskClient) -> None:
    response = faulty_client.get("/broken", headers=HTML)

    assert response.status_code == 500
    assert "RuntimeError" not in response.text
    assert "a fault" not in response.text


def test_an_upload_over_the_limit_is_rejected(faulty_app: Flask, faulty_client: FlaskClient) -> None:
    too_much = b"x" * (faulty_app.config["MAX_CONTENT_LENGTH"] + 1)

    response = faulty_client.post("/upload", data=too_much, headers=HTML)

    assert response.status_code == 413
    assert "too large" in response.text


@pytest.fixture
def protected_client(faulty_app: Flask, faulty_client: FlaskClient) -> Iterator[FlaskClient]:
    """Yield a client of an app with CSRF protection."""
    faulty_app.config["WTF_CSRF_ENABLED"] = True
    yield faulty_client
    faulty_app.config["WTF_CSRF_ENABLED"] = False


def test_a_form_with_an_expired_token_asks_to_reload_the_page(protected_client: FlaskClient) -> None:
    response = protected_client.post("/language", data={"language": "ru"}, headers=HTML)

    assert response.status_code == 400
    assert "This page has expired" in response.text
    assert "Set-Cookie" not in response.headers


@pytest.mark.both_engines
def test_without_a_database_a_user_gets_a_page_in_the_browsers_language(environment: dict[str, str]) -> None:
    unreachable_app = create_app(
        ErrorPagesConfig({**environment, "DATABASE_URL": "sqlite:////nowhere/at/all.db"})
    )
    visitor = unreachable_app.test_client()
    with visitor.session_transaction() as cookie:
        cookie["_user_id"] = "1.0"

    response = visitor.get("/", headers=HTML | {"Accept-Language": "ru"})
    dispose(unreachable_app)

    assert response.status_code == 503
    assert "<html" in response.text
    assert "Сервис перегружен" in response.text
    assert response.headers["Retry-After"] == "5"
    assert "Content-Security-Policy" in response.headers


def test_pages_of_a_signed_in_user_are_never_stored(browser: FlaskClient, visitor: FlaskClient) -> None:
    assert "no-store" in browser.get("/").headers["Cache-Control"]
    assert "no-store" not in visitor.get("/").headers.get("Cache-Control", "")


def test_caches_store_a_page_per_language(visitor: FlaskClient) -> None:
    assert {"accept-language", "cookie"} <= visitor.get("/blog/").vary.as_set()


def test_pages_have_no_inline_scripts_or_styles(browser: FlaskClient, visitor: FlaskClient) -> None:
    for page in (browser.get("/").text, visitor.get("/").text, visitor.get("/blog/").text):
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page)
        assert "<style" not in page
        own_text = page.replace("http://sky.example/", "").replace("http://www.w3.org", "")
        assert "http://" not in own_text


def test_a_public_page_is_the_same_for_every_visitor(app: Flask, visitor: FlaskClient) -> None:
    first, second = visitor.get("/blog/"), app.test_client().get("/blog/")

    assert first.data == second.data
    assert "Set-Cookie" not in first.headers


def test_users_and_visitors_get_different_navigation(browser: FlaskClient, visitor: FlaskClient) -> None:
    for_user, for_visitor = browser.get("/blog/").text, visitor.get("/blog/").text

    for path in ("/clients/", "/messages/", "/mailings/", "/logs/", "/auth/profile"):
        assert f'href="{path}"' in for_user
        assert f'href="{path}"' not in for_visitor
    assert 'action="/auth/logout"' in for_user
    for path in ("/auth/login", "/auth/register"):
        assert f'href="{path}"' in for_visitor
        assert f'href="{path}"' not in for_user


def test_markup_in_a_name_is_escaped(sign_in: SignIn, session: object) -> None:
    browser = sign_in(UserFactory.create(name="<b>Bold</b>"))

    assert "&lt;b&gt;Bold" in browser.get("/blog/").text
