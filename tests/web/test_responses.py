"""What every answer carries: headers, error pages, the frame around each page."""

import gzip
import re
from collections.abc import Iterator

import pytest
from flask import Flask, Response, abort, request
from flask.testing import FlaskClient

import config
from skymailing import create_app
from skymailing.extensions import db
from skymailing.models import User
from skymailing.web.responses import SECURITY_HEADERS
from tests.conftest import SignIn
from tests.support.factories import MessageFactory, UserFactory

HTML = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture(scope="module")
def odd_app(environment: dict[str, str]) -> Iterator[Flask]:
    """An app with extra views that fail, or bring a policy of their own; for the same database."""
    settings = config.TestingConfig(environment)
    settings.PROPAGATE_EXCEPTIONS = False
    app = create_app(settings)

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
def odd(odd_app: Flask, session: object) -> FlaskClient:
    return odd_app.test_client()


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
def test_every_answer_carries_the_security_headers(odd: FlaskClient, path: str, status: int) -> None:
    answer = odd.get(path, headers=HTML, buffered=True)

    assert answer.status_code == status
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


def test_a_views_own_policy_is_kept(odd: FlaskClient) -> None:
    answer = odd.get("/framed")

    assert answer.headers.getlist("Content-Security-Policy") == ["sandbox; frame-ancestors 'self'"]


def test_https_is_demanded_in_production_only(odd: FlaskClient, environment: dict[str, str]) -> None:
    settings = {
        **environment,
        "SKYMAILING_ENV": "production",
        "SECRET_KEY": "a long key that nobody else has got, really",
        "PUBLIC_URL": "https://sky.example",
    }
    production = create_app(config.ProductionConfig(settings))

    answer = production.test_client().get("/healthz")
    dispose(production)

    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in odd.get("/healthz").headers


@pytest.mark.parametrize("code", [400, 403, 404, 405, 413, 429, 500, 503])
def test_an_error_page_looks_like_the_site_and_says_what_to_do(odd: FlaskClient, code: int) -> None:
    answer = odd.get(f"/refused/{code}", headers=HTML)

    assert answer.status_code == code
    assert answer.mimetype == "text/html"
    assert '<main id="main"' in answer.text
    assert f">{code}<" in answer.text


def test_a_program_reads_errors_as_plain_text(odd: FlaskClient) -> None:
    answer = odd.get("/refused/404", headers={"Accept": "*/*"})

    assert answer.mimetype == "text/plain"
    assert answer.text.startswith("404 There is no such page\n")


def test_an_error_keeps_the_headers_that_belong_to_it(odd: FlaskClient) -> None:
    answer = odd.post("/blog/", headers=HTML)

    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_a_fault_shows_nothing_of_the_inside(odd: FlaskClient) -> None:
    answer = odd.get("/broken", headers=HTML)

    assert answer.status_code == 500
    assert "RuntimeError" not in answer.text
    assert "a fault" not in answer.text


def test_an_upload_beyond_the_limit_is_refused(odd_app: Flask, odd: FlaskClient) -> None:
    too_much = b"x" * (odd_app.config["MAX_CONTENT_LENGTH"] + 1)

    answer = odd.post("/upload", data=too_much, headers=HTML)

    assert answer.status_code == 413
    assert "too large" in answer.text


@pytest.fixture
def guarded(odd_app: Flask, odd: FlaskClient) -> Iterator[FlaskClient]:
    """A browser for which CSRF protection is on."""
    odd_app.config["WTF_CSRF_ENABLED"] = True
    yield odd
    odd_app.config["WTF_CSRF_ENABLED"] = False


def test_a_stale_form_says_to_load_the_page_again(guarded: FlaskClient) -> None:
    answer = guarded.post("/language", data={"language": "ru"}, headers=HTML)

    assert answer.status_code == 400
    assert "open too long" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_error_page_of_a_broken_database_is_plain_but_there(environment: dict[str, str]) -> None:
    settings = config.TestingConfig({**environment, "DATABASE_URL": "sqlite:////nowhere/at/all.db"})
    settings.PROPAGATE_EXCEPTIONS = False
    broken = create_app(settings)
    visitor = broken.test_client()
    with visitor.session_transaction() as cookie:
        cookie["_user_id"] = "1.0"

    answer = visitor.get("/", headers=HTML)
    dispose(broken)

    assert answer.status_code == 503
    assert answer.text.startswith("503 ")
    assert answer.headers["Retry-After"] == "5"
    assert "Content-Security-Policy" in answer.headers


def test_assets_are_kept_for_good_and_change_their_name_with_their_content(visitor: FlaskClient) -> None:
    page = visitor.get("/").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"#]+)', page)

    assert addresses
    for address in set(addresses):
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", address), address
        answer = visitor.get(address)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_assets_without_their_hash_are_asked_about_each_time(visitor: FlaskClient) -> None:
    current = visitor.get("/static/css/site.css")
    # A page from before an update asks for a file that is gone: it gets the new one, for this once.
    old = visitor.get("/static/css/site.0123456789ab.css")

    assert current.headers["Cache-Control"] == old.headers["Cache-Control"] == "no-cache"
    assert old.text == current.text
    again = visitor.get("/static/css/site.css", headers={"If-None-Match": current.headers["ETag"]})
    assert again.status_code == 304


def test_nothing_but_assets_is_served_from_their_folder(visitor: FlaskClient) -> None:
    for path in ("none.css", "css", "../web.py", "%2e%2e/web.py", "css/../../web.py", "/etc/passwd"):
        assert visitor.get(f"/static/{path}").status_code in (404, 308), path


@pytest.mark.parametrize("path", ["/", "/blog/", "/auth/login", "/static/css/site.css"])
def test_text_is_packed_for_whoever_takes_it_so(visitor: FlaskClient, path: str) -> None:
    plain = visitor.get(path)
    packed = visitor.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
    refused = visitor.get(path, headers={"Accept-Encoding": "gzip;q=0, br"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert without_what_differs(gzip.decompress(packed.data)) == without_what_differs(plain.data)
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 2
    for answer in (plain, refused):
        assert "Content-Encoding" not in answer.headers
    for answer in (plain, packed, refused):
        assert "accept-encoding" in answer.vary.as_set()


def without_what_differs(page: bytes) -> bytes:
    """Return the page without the token of its form, and without its random articles."""
    page = re.sub(rb'name="csrf_token"[^>]*>', b"", page)
    return re.sub(rb'<ul class="cards">.*?</ul>', b"", page, flags=re.DOTALL)


def test_pages_of_a_signed_in_user_are_stored_nowhere(browser: FlaskClient, visitor: FlaskClient) -> None:
    assert "no-store" in browser.get("/").headers["Cache-Control"]
    assert "no-store" not in visitor.get("/").headers.get("Cache-Control", "")


def test_caches_keep_one_page_for_each_language(visitor: FlaskClient) -> None:
    assert {"accept-language", "cookie"} <= visitor.get("/blog/").vary.as_set()


def test_pages_hold_no_inline_script_or_style(browser: FlaskClient, visitor: FlaskClient) -> None:
    for page in (browser.get("/").text, visitor.get("/").text, visitor.get("/blog/").text):
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page)
        assert "<style" not in page
        ours = page.replace("http://sky.example/", "").replace("http://www.w3.org", "")
        assert "http://" not in ours


def test_a_public_page_is_the_same_for_every_visitor(app: Flask, visitor: FlaskClient) -> None:
    first, second = visitor.get("/blog/"), app.test_client().get("/blog/")

    assert first.data == second.data
    assert "Set-Cookie" not in first.headers


def test_the_navigation_depends_on_being_signed_in(browser: FlaskClient, visitor: FlaskClient) -> None:
    inside, outside = browser.get("/blog/").text, visitor.get("/blog/").text

    for path in ("/clients/", "/messages/", "/mailings/", "/logs/", "/auth/profile"):
        assert f'href="{path}"' in inside
        assert f'href="{path}"' not in outside
    assert 'action="/auth/logout"' in inside
    for path in ("/auth/login", "/auth/register"):
        assert f'href="{path}"' in outside
        assert f'href="{path}"' not in inside


def test_a_name_with_markup_is_text(sign_in: SignIn, session: object) -> None:
    browser = sign_in(UserFactory.create(name="<b>Bold</b>"))

    assert "&lt;b&gt;Bold" in browser.get("/blog/").text


HUGE = "9" * 30


@pytest.mark.parametrize("number", [HUGE, str(2**63), str(2**63 - 1), str(2**31)])
@pytest.mark.parametrize(
    ("things", "page"),
    [
        ("clients", "/edit"),
        ("clients/imports", ""),
        ("messages", ""),
        ("mailings", ""),
        ("mailings", "/log.csv"),
    ],
)
def test_a_number_that_no_database_holds_is_no_page(
    browser: FlaskClient, things: str, page: str, number: str
) -> None:
    assert browser.get(f"/{things}/{number}{page}").status_code == 404


@pytest.mark.parametrize("path", ["/blog/%00", "/mailings/1%00", "/auth/verify/%00", "/static/%00"])
def test_an_address_that_no_database_can_look_for_is_no_page(visitor: FlaskClient, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_a_number_that_no_database_holds_is_nobody(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)

    assert browser.get(f"/messages/{message.id}?client={HUGE}").status_code == 200
    assert browser.post(f"/messages/{message.id}/test", data={"client": HUGE}).status_code == 302
