"""Test that pages of Amazon SNS are fetched only from its hosts, over verified TLS, and within limits."""

import http.server
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme

from skymailing.returns.providers import amazon_sns
from skymailing.returns.providers.amazon_sns import NotFetched, fetch

HOST = "sns.eu-west-1.amazonaws.com"
SUBSCRIBE = f"https://{HOST}/?Action=ConfirmSubscription&Token=2336412f"


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves a page, a redirect and an endless page."""

    requested: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.requested.append(self.path)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page" * (1_000_000 if self.path == "/long" else 1))

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def connect() -> Iterator[amazon_sns.Connect]:
    """Yield a function that connects to a local server with a certificate for SNS's host."""
    authority = trustme.CA()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    client = ssl.create_default_context()
    authority.configure_trust(client)

    def connect_locally(host: str) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", server.server_port), 5)
        return client.wrap_socket(plain, server_hostname=host)

    yield connect_locally
    server.shutdown()
    server.server_close()


def test_a_page_is_fetched_without_redirects_and_up_to_a_size(connect: amazon_sns.Connect) -> None:
    assert fetch(SUBSCRIBE, connect) == b"page"
    assert Pages.requested[-1] == "/?Action=ConfirmSubscription&Token=2336412f"
    assert len(fetch(f"https://{HOST}/long", connect)) == amazon_sns.MAX_PAGE
    with pytest.raises(NotFetched, match="status 302"):
        fetch(f"https://{HOST}/redirect", connect)
    # Another host of SNS at the same address: its certificate does not match.
    with pytest.raises(NotFetched, match="SSL"):
        fetch("https://sns.us-east-1.amazonaws.com/", connect)


@pytest.mark.parametrize(
    "url",
    [
        "",
        f"http://{HOST}/",
        f"https://{HOST}:8443/",
        f"https://{HOST}.evil.example/",
        f"https://evil.example/{HOST}",
        f"https://user@{HOST}/",
        f"https://{HOST}@evil.example/",
        "https://sns.evil.example\\.amazonaws.com/",
        "https://evil.s3.amazonaws.com/",
        "https://sns.eu-west-1.amazonaws.com.s3.amazonaws.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::1/",
        f"https://{HOST}/ HTTP/1.1\r\nX: y",
    ],
)
def test_no_other_host_is_connected_to(url: str) -> None:
    def fail(host: str) -> ssl.SSLSocket:
        raise AssertionError(host)

    with pytest.raises(NotFetched, match="not an SNS host"):
        fetch(url, fail)


def test_a_host_with_a_private_address_is_not_connected_to() -> None:
    with pytest.raises(OSError, match="private address"):
        amazon_sns.connect_to_public_host("localhost")
