"""Provide a web site on loopback with a host name."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest

HOST = "shop.example"
LOOPBACK = (ip_network("127.0.0.0/8"),)
# What the site responds, by path: the code and the Location.
PAGES: dict[str, tuple[int, str]] = {
    "/": (200, ""),
    "/moved": (301, "/"),
    "/for-now": (302, "/"),
    "/gone": (410, ""),
    "/missing": (404, ""),
    "/broken": (503, ""),
    "/robots-stay-out": (403, ""),
    "/loop": (302, "/loop"),
    "/inside": (302, "http://internal.example/secret"),
    "/by-address": (302, "http://127.0.0.1/"),
    "/mail": (302, "http://shop.example:25/"),
    "/script": (302, "javascript:alert(1)"),
}


class Site(ThreadingHTTPServer):
    """The site, which remembers its requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Respond as PAGES says; `/get-only` refuses HEAD."""

    server: Site

    def respond(self) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        is_refused = self.path == "/get-only" and self.command == "HEAD"
        status, location = (405, "") if is_refused else PAGES.get(self.path.partition("?")[0], (200, ""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Set-Cookie", "seen=1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = respond  # noqa: N815 - the base class calls them by these names

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Start the site; `internal.example` is a host in a private network."""
    addresses = {HOST: "127.0.0.1", "internal.example": "10.0.0.1"}
    look_up = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith(".example") and host not in addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return look_up(addresses.get(host, host), *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield site
    site.shutdown()
    thread.join()
    site.server_close()
