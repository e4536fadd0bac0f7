"""Serve an owner's website with the pasted code of a form; its origin differs from the service's."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Tea shop</title></head>
<body><main><h1>Tea shop</h1>{content}</main></body>
</html>"""


class Website(ThreadingHTTPServer):
    """A website with one page, whose `content` is HTML."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = ""

    @property
    def url(self) -> str:
        """The page's URL, whose host differs from the service's."""
        return f"http://localhost:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Website)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.format(content=self.server.content).encode())

    def log_message(self, *_args: object) -> None:
        """Suppress log output."""


@pytest.fixture
def website() -> Iterator[Website]:
    server = Website()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
