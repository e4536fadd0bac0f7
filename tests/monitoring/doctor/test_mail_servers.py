"""Test that `flask doctor` checks the mail servers and their encryption."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from flask import Flask

from config import TestingConfig
from skymailing import create_app
from skymailing.delivery.smtp import connection
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.run import run_checks
from tests.faults.sink import Sink

EXTENSIONS = ("PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    data_dir = str(tmp_path_factory.mktemp("data"))
    return create_app(TestingConfig({"DATA_DIR": data_dir, "MAIL_SERVER": "127.0.0.1"}))


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[trustme.CA]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    connection.verifying_context.cache_clear()
    yield authority
    connection.verifying_context.cache_clear()


def make_server_context(authority: trustme.CA, days: float) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    not_before, not_after = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=days)
    authority.issue_cert("localhost", not_before=not_before, not_after=not_after).configure_cert(context)
    return context


def check_server(app: Flask, monkeypatch: pytest.MonkeyPatch, port: int, **settings: object) -> Check:
    for name, value in {"server": "localhost", "port": port, **settings}.items():
        monkeypatch.setattr(app.extensions["mail"], name, value)
    with app.app_context():
        (check,) = run_checks(["mail-server"])
    return check


@pytest.mark.parametrize(
    ("days", "is_ok", "expected"),
    [
        (60, True, "over TLS; its certificate is valid for 59 more days"),
        (5, False, "valid for 4 more days"),
        (-1, False, "certificate has expired"),
    ],
)
def test_the_starttls_certificate_is_checked(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    authority: trustme.CA,
    days: float,
    is_ok: bool,
    expected: str,
) -> None:
    with Sink(tls=make_server_context(authority, days), extensions=EXTENSIONS) as sink:
        check = check_server(app, monkeypatch, sink.port, use_tls=True, username="sky", password="s3cret")

    assert check.is_ok == is_ok
    assert expected in check.finding


def test_missing_starttls_is_a_problem(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink() as sink:
        check = check_server(app, monkeypatch, sink.port, use_tls=True)

    assert not check.is_ok
    assert "STARTTLS" in check.finding
    assert "MAIL_USE_TLS" in check.advice


def test_a_server_on_this_host_needs_no_encryption(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink(extensions=EXTENSIONS) as sink:
        check = check_server(app, monkeypatch, sink.port, use_tls=False)

    assert check.is_ok
    assert "on this host" in check.finding


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [(("SMTPUTF8",), "it accepts addresses with non-Latin"), ((), "it refuses addresses with non-Latin")],
)
def test_doctor_reports_whether_international_addresses_are_accepted(
    app: Flask, monkeypatch: pytest.MonkeyPatch, extensions: tuple[str, ...], expected: str
) -> None:
    with Sink(extensions=extensions) as sink:
        check = check_server(app, monkeypatch, sink.port, use_tls=False)

    assert check.is_ok  # most services need no such addresses
    assert expected in check.finding


@pytest.mark.parametrize(
    ("extensions", "username", "expected"),
    [
        (EXTENSIONS, None, "offers TLS, but letters are sent unencrypted"),
        (("AUTH PLAIN LOGIN",), "sky", "receives the password unencrypted"),
        ((), None, None),
    ],
)
def test_encryption_must_be_used_if_a_remote_server_offers_it(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    extensions: tuple[str, ...],
    username: str | None,
    expected: str | None,
) -> None:
    address = find_own_address()
    with Sink(extensions=extensions, host=address) as sink:
        check = check_server(
            app, monkeypatch, sink.port, server=address, use_tls=False, username=username, password="s3cret"
        )

    assert check.is_ok == (expected is None)
    assert (expected or "it offers no TLS") in check.finding


def find_own_address() -> str:
    """Return a non-loopback address of this host, without sending anything; raises OSError without a network.

    Loopback cannot replace it, because it needs no encryption.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    return address


def test_the_fallback_server_is_also_checked(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink() as sink:
        fallback = SimpleNamespace(
            server="127.0.0.1", port=sink.port, use_tls=False, use_ssl=False, username=None, password=None
        )
        monkeypatch.setitem(app.config, "MAIL_FALLBACK", fallback)
        monkeypatch.setattr(app.extensions["mail"], "port", 1)
        with app.app_context():
            results = {
                check.name: check.is_ok for check in run_checks(["mail-server", "fallback-mail-server"])
            }

    assert results == {"mail-server": False, "fallback-mail-server": True}
