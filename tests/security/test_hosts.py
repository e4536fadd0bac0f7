"""Test that forged Host and X-Forwarded-* headers have no effect and that `next` stays on this site."""

from collections.abc import Callable

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.conftest import SignIn
from tests.security.conftest import MakeApp, World
from tests.support.factories import PASSWORD
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

FORGED = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Host": "evil.example",
    "Forwarded": "for=127.0.0.1;host=evil.example;proto=https",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil.example",
    "X-Original-URL": "/manager/",
    "X-Rewrite-URL": "/manager/",
}


@pytest.mark.parametrize("proxies", [0, 1])
def test_no_response_contains_a_forged_host(
    make_app: MakeApp, world: World, session: Session, proxies: int
) -> None:
    app = make_app(TRUSTED_PROXIES=proxies)
    browser = app.test_client()
    browser.post("/auth/login", data={"email": world.owner.email, "password": PASSWORD})
    paths = {path for _, method, path in world.requests(app) if method == "GET"}
    for path in [*paths, "/blog", "/none", "/manager", "/clients"]:
        response = browser.get(path, headers=FORGED, buffered=True)
        assert "evil.example" not in str(response.headers), path
        assert b"evil.example" not in response.data, path


@pytest.mark.parametrize("path", ["/auth/register", "/auth/reset"])
@pytest.mark.parametrize(
    "host", ["evil.example", "sky.example@evil.example", "evil.example:80", "sky.example."]
)
def test_links_in_letters_ignore_a_forged_host(
    visitor: FlaskClient, user: User, smtp: SmtpServer, work: Callable[[], None], path: str, host: str
) -> None:
    email = user.email if path == "/auth/reset" else "new@example.com"
    data = {"email": email, "password": "three odd words", "password_confirm": "three odd words"}
    assert visitor.post(path, data=data, headers=FORGED | {"Host": host}).status_code in (302, 400)
    work()
    for letter in smtp.letters:
        assert "evil" not in letter.text + letter.html
        assert "http://sky.example/" in letter.text


@pytest.mark.parametrize(
    ("proxies", "sent", "expected"),
    [
        (0, "198.51.100.1", ("10.0.0.1", "http")),
        (1, "198.51.100.1", ("198.51.100.1", "https")),
        (1, "6.6.6.6, 198.51.100.1", ("198.51.100.1", "https")),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.2", ("198.51.100.1", "http")),
    ],
)
def test_only_forwarded_headers_from_trusted_proxies_count(
    make_app: MakeApp, proxies: int, sent: str, expected: tuple[str, str]
) -> None:
    app = make_app(TRUSTED_PROXIES=proxies)

    @app.get("/who")
    def who() -> list[str]:
        return [request.remote_addr or "", request.scheme, request.host]

    response = app.test_client().get(
        "/who",
        headers={"X-Forwarded-For": sent, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"},
        environ_overrides={"REMOTE_ADDR": "10.0.0.1"},
    )
    assert response.json == [*expected, "localhost"]


def test_metrics_ignore_a_forged_local_address(make_app: MakeApp) -> None:
    for proxies in (0, 1):
        visitor = make_app(TRUSTED_PROXIES=proxies).test_client()
        for claimed in ("127.0.0.1", "::1", "127.0.0.1, 203.0.113.5"):
            local = {"REMOTE_ADDR": "127.0.0.1"}  # the address of the proxy
            headers = {"X-Forwarded-For": claimed}
            assert visitor.get("/metrics", headers=headers, environ_overrides=local).status_code == 404


HOSTILE_TARGETS = [
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    " //evil.example",
    "https:evil.example",
    "https:///evil.example",
    "//sky.example@evil.example",
    "https://sky.example@evil.example/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "/\u2028/evil.example",
    "\u2044\u2044evil.example",
    "//evil。example",
    "/.//evil.example",
    "/..//evil.example",
    "//[::1]",
    "\x00//evil.example",
]


def leads_elsewhere(location: str) -> bool:
    """Return whether a browser would go to another site or run a script."""
    path = location.replace("\t", "").replace("\n", "").replace("\r", "").replace("\\", "/").strip()
    return not path.startswith("/") or path.startswith("//")


@pytest.mark.parametrize("target", HOSTILE_TARGETS)
def test_next_never_redirects_to_another_site(visitor: FlaskClient, user: User, target: str) -> None:
    query = {"next": target}
    signed_in = visitor.post(
        "/auth/login", query_string=query, data={"email": user.email, "password": PASSWORD}
    )
    assert signed_in.status_code == 302
    for response in (
        signed_in,
        visitor.get("/auth/login", query_string=query),
        visitor.post("/language", query_string=query, data={"language": "en"}),
        visitor.post("/auth/login/code", query_string=query),
    ):
        assert response.status_code == 302
        assert not leads_elsewhere(response.location), response.location
        assert "\n" not in response.location


def test_a_hostile_next_is_not_a_link_on_the_language_page(visitor: FlaskClient) -> None:
    for target in HOSTILE_TARGETS:
        page = visitor.get("/language", query_string={"next": target}).text
        assert f'href="{target}"' not in page


def test_private_pages_redirect_to_this_sites_login_page(
    app: Flask, visitor: FlaskClient, sign_in: SignIn
) -> None:
    for path in ("/clients/?next=//evil.example", "//evil.example/clients/", "/clients/\\evil.example"):
        response = visitor.get(path, headers=FORGED)
        if response.status_code in (301, 302, 303, 307, 308):
            assert not leads_elsewhere(response.location), path
