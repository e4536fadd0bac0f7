"""Test that `flask doctor` checks PUBLIC_URL and its certificate, with a local server."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from flask import Flask

from config import TestingConfig
from skymailing import create_app
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.run import run_checks
from tests.support.ports import find_free_port


class SiteHandler(http.server.BaseHTTPRequestHandler):
    """A handler whose class attributes define its response."""

    status = 200
    body = b"ok\n"
    clock_lag = timedelta()

    def do_GET(self) -> None:
        self.send_response_only(self.status)
        now = datetime.now(UTC) - self.clock_lag
        self.send_header("Date", f"{now:%a, %d %b %Y %H:%M:%S} GMT")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


Serve = Callable[..., None]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    data_dir = str(tmp_path_factory.mktemp("data"))
    return create_app(TestingConfig({"DATA_DIR": data_dir, "MAIL_SERVER": "127.0.0.1"}))


@pytest.fixture
def serve(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Yield a function that runs a site with a certificate at PUBLIC_URL."""
    running: list[http.server.HTTPServer] = []
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))

    def run_site(
        days: float = 60, name: str = "localhost", issuer: trustme.CA = authority, **attributes: object
    ) -> None:
        server = http.server.HTTPServer(("127.0.0.1", 0), type("Site", (SiteHandler,), attributes))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        not_before, not_after = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=days)
        issuer.issue_cert(name, not_before=not_before, not_after=not_after).configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # ignores clients that disconnect
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        monkeypatch.setitem(app.config, "PUBLIC_URL", f"https://localhost:{server.server_port}")

    yield run_site
    for server in running:
        server.shutdown()
        server.server_close()


def check_site(app: Flask, *names: str) -> list[Check]:
    with app.app_context():
        return run_checks(names or ("site", "certificate", "clock"))


def test_doctor_reports_a_healthy_site(app: Flask, serve: Serve) -> None:
    serve()

    site, certificate, clock = check_site(app)

    assert site.is_ok
    assert certificate.is_ok
    assert "59 more days" in certificate.finding
    assert (clock.is_ok, clock.finding) == (True, "agrees with the site")


def test_a_certificate_that_expires_soon_is_a_problem(app: Flask, serve: Serve) -> None:
    serve(days=10)

    site, certificate, _ = check_site(app)

    assert site.is_ok
    assert not certificate.is_ok
    assert "9 more days" in certificate.finding
    assert "certbot renew" in certificate.advice


@pytest.mark.parametrize(
    ("flaw", "expected"),
    [
        ({"days": -1}, "expired"),
        ({"name": "elsewhere.example"}, "doesn't match|not valid for"),
        ({"issuer": trustme.CA()}, "self-signed|unable to get local issuer"),
        ({"status": 502}, "returned status 502"),
        ({"body": b"Welcome to nginx!"}, "not from this service"),
    ],
)
def test_a_site_that_visitors_cannot_use_is_a_problem(
    app: Flask, serve: Serve, flaw: dict[str, object], expected: str
) -> None:
    serve(**flaw)

    (check,) = check_site(app, "site")

    assert not check.is_ok
    assert any(text in check.finding for text in expected.split("|")), check.finding
    assert "PUBLIC_URL" in check.advice


def test_a_site_that_is_down_is_a_problem_and_its_certificate_is_unknown(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = find_free_port()
    monkeypatch.setitem(app.config, "PUBLIC_URL", f"https://localhost:{port}")

    site, certificate, clock = check_site(app)

    assert not site.is_ok
    assert (certificate.is_ok, certificate.is_known) == (True, False)
    assert (clock.is_ok, clock.is_known) == (True, False)


def test_a_wrong_clock_is_a_problem(app: Flask, serve: Serve) -> None:
    serve(clock_lag=timedelta(minutes=4))

    (clock,) = check_site(app, "clock")

    assert not clock.is_ok
    assert "ahead of the site" in clock.finding
