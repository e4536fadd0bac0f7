"""Test the web server behind nginx, set up as in docs/operations.md."""

import http.client
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.processes.nginx import NAME, Nginx, run_nginx
from tests.processes.service import PROJECT_DIR, is_listening, wait_until
from tests.support.ports import find_free_port
from tests.support.servers import RedisServer

EMAIL, PASSWORD = "anna@sky.example", "correct horse battery"


class Web:
    """A `flask web` process with production settings."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        self.port = find_free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "SKYMAILING_ENV": "production",
            "SECRET_KEY": "only-for-tests-" * 3,
            "PUBLIC_URL": f"https://{NAME}",
            "TRUSTED_PROXIES": "1",
            "PORT": str(self.port),
            "REDIS_URL": redis_url,
            "DATA_DIR": str(directory),
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_DEFAULT_SENDER": f"news@{NAME}",
        }

    def run(self, *arguments: str) -> None:
        subprocess.run(self._command(*arguments), cwd=PROJECT_DIR, env=self.environment, check=True)

    def start(self) -> None:
        self.process = subprocess.Popen(self._command("web"), cwd=PROJECT_DIR, env=self.environment)
        wait_until(lambda: is_listening(self.port), "the web server listens")

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Web]:
    web = Web(tmp_path_factory.mktemp("web"), redis_server.url)
    web.run("db", "upgrade")
    web.run("users", "create", EMAIL, "--password", PASSWORD)
    web.start()
    yield web
    web.stop()


@pytest.fixture(scope="module")
def nginx(web: Web, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with run_nginx(tmp_path_factory.mktemp("nginx"), web.port) as nginx:
        yield nginx


def test_pages_are_served_only_over_tls(nginx: Nginx) -> None:
    plain = nginx.request("GET", "/auth/login", tls=False)
    page = nginx.request("GET", "/auth/login")

    assert (plain.status, plain.headers["Location"]) == (301, f"https://{NAME}/auth/login")
    assert page.status == 200
    assert page.headers["Strict-Transport-Security"]
    assert {"Secure", "HttpOnly"} <= set(page.headers["Set-Cookie"].split("; "))


def test_a_user_stays_on_tls_after_signing_in(nginx: Nginx) -> None:
    form = nginx.request("GET", "/auth/login")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert token

    response = nginx.request(
        "POST",
        "/auth/login",
        body=f"email={EMAIL}&password={PASSWORD.replace(' ', '+')}&csrf_token={token[1]}",
        Content_Type="application/x-www-form-urlencoded",
        Referer=f"https://{NAME}/auth/login",
        Cookie=form.headers["Set-Cookie"].partition(";")[0],
    )
    cookie = "; ".join(header.partition(";")[0] for header in response.headers.get_all("Set-Cookie", []))

    assert response.status == 302, response.text
    assert not response.headers["Location"].startswith("http:")
    assert nginx.request("GET", "/clients/", Cookie=cookie).status == 200


def test_requests_for_another_host_get_no_response(nginx: Nginx) -> None:
    with pytest.raises(ssl.SSLError):
        nginx.request("GET", "/", host="other.example")
    with pytest.raises(http.client.RemoteDisconnected):
        nginx.request("GET", "/", tls=False, host="other.example")


def test_metrics_are_not_public(nginx: Nginx, web: Web) -> None:
    assert nginx.request("GET", "/metrics").status == 404
    assert nginx.request("GET", "/metrics/").status == 404
    assert nginx.request("GET", "/./metrics").status == 404
    with closing(http.client.HTTPConnection("127.0.0.1", web.port)) as connection:
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 200


def test_the_certificate_can_be_renewed(nginx: Nginx) -> None:
    challenge = nginx.directory / "html/.well-known/acme-challenge/word"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("answer")

    assert nginx.request("GET", "/.well-known/acme-challenge/word", tls=False).text == "answer"


def test_nginx_rejects_a_file_that_is_too_large(nginx: Nginx) -> None:
    assert nginx.request("POST", "/clients/import", Content_Length=str(41 * 1024 * 1024)).status == 413


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [("/metrics", 0, 404), ("/clients/import", 41 * 1024 * 1024, 413), ("/auth/login", 0, 200)],
)
def test_every_response_has_security_headers_once(nginx: Nginx, path: str, length: int, status: int) -> None:
    response = nginx.request("POST" if length else "GET", path, Content_Length=str(length))
    assert response.status == status
    for name in ("Strict-Transport-Security", "Content-Security-Policy", "X-Content-Type-Options"):
        assert len(response.headers.get_all(name, [])) == 1, name


def test_styles_are_compressed(nginx: Nginx) -> None:
    page = nginx.request("GET", "/auth/login")
    style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page.text)
    assert style

    assert nginx.request("GET", style[1], Accept_Encoding="gzip").headers["Content-Encoding"] == "gzip"


def test_links_that_give_access_to_an_account_are_not_logged(nginx: Nginx) -> None:
    for page in ("verify", "reset", "email"):
        assert nginx.request("GET", f"/auth/{page}/a-secret-token").status == 410
    nginx.request("GET", "/clients/?q=anna@example.org&sort=name")
    nginx.request("GET", "/u/an-unsubscribe-token")
    for link in (
        "/p/a-letters-token",
        "/v/a-letters-token",
        "/c/a-letters-token/1",
        "/o/a-letters-token.gif",
    ):
        nginx.request("GET", link)
    nginx.request("POST", "/hooks/brevo/a-secret-of-a-webhook")
    nginx.request("GET", "/senders/confirm/a-secret-token")
    nginx.request("GET", "/the-last-page")

    wait_until(lambda: "the-last-page" in nginx.access_log, "the log is written", 30)
    assert "an-unsubscribe-token" not in nginx.access_log
    assert "a-letters-token" not in nginx.access_log
    assert "a-secret-of-a-webhook" not in nginx.access_log
    for page in ("verify", "reset", "email"):
        assert f"/auth/{page}/..." in nginx.access_log
    assert "a-secret-token" not in nginx.access_log
    assert '"GET /clients/?..."' in nginx.access_log


def test_nginx_reconnects_to_a_restarted_web_server(nginx: Nginx, web: Web) -> None:
    web.stop()
    assert nginx.request("GET", "/healthz").status == 502
    assert nginx.request("GET", "/auth/reset/a-token-for-later").status == 502
    assert nginx.request("GET", "/hooks/brevo/a-token-for-later").status == 502
    assert nginx.request("GET", "/clients/?q=anna@example.org").status == 502
    errors = (nginx.directory / "error.log").read_text()
    assert '"GET /healthz' in errors
    assert "a-token-for-later" not in errors
    assert "anna@example.org" not in errors

    web.start()
    assert nginx.request("GET", "/healthz").status == 200


class Echo(BaseHTTPRequestHandler):
    """A handler that responds with the request's headers."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers.as_bytes())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(("variable", "port"), [("$host", ""), ("$http_host", ":8443")])
def test_the_service_sees_the_port_of_the_public_url(tmp_path: Path, variable: str, port: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Echo) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        with run_nginx(tmp_path, upstream.server_port, host_variable=variable) as nginx:
            received = nginx.request("GET", "/", Host=f"{NAME}:8443").text
        upstream.shutdown()
    assert f"Host: {NAME}{port}\n" in received


def test_visitors_forwarding_headers_are_dropped(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Echo) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        with run_nginx(tmp_path, upstream.server_port) as nginx:
            received = nginx.request(
                "GET",
                "/",
                X_Forwarded_For="203.0.113.7",
                X_Forwarded_Host="evil.example",
                X_Forwarded_Proto="http",
                Forwarded="for=203.0.113.7;host=evil.example",
            ).text
        upstream.shutdown()

    assert "X-Forwarded-For: 127.0.0.1\n" in received
    assert "X-Forwarded-Proto: https\n" in received
    assert f"Host: {NAME}\n" in received
    assert "evil.example" not in received
    assert "203.0.113.7" not in received
