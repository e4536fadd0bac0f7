"""Test that account letters are sent only to a mail server with STARTTLS and a valid certificate."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from aiosmtpd.controller import Controller
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.delivery.smtp import connection
from skymailing.models import LetterState, OutboxLetter
from tests.outbox.conftest import MailSettings, Send
from tests.support.ports import find_free_port
from tests.support.servers import SmtpServer

# Sessions with a mail server do not depend on the database.
pytestmark = pytest.mark.one_engine


def test_a_server_without_starttls_gets_no_letter(
    send: Send, letter: OutboxLetter, settings: MailSettings, smtp: SmtpServer, session: Session
) -> None:
    settings.use_tls = True
    assert send() == 0
    session.refresh(letter)
    assert letter.state == LetterState.PENDING
    assert "STARTTLS" in letter.last_error
    assert smtp.letters == []


@pytest.fixture
def authority() -> trustme.CA:
    """Create a certificate authority that is not trusted yet."""
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the connection trust the authority."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    connection.verifying_context.cache_clear()
    yield
    connection.verifying_context.cache_clear()


@pytest.fixture
def tls_server(app: Flask, authority: trustme.CA, smtp: SmtpServer) -> Iterator[int]:
    """Run a server named localhost that accepts letters only after STARTTLS; yield its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    controller = Controller(
        smtp, hostname="127.0.0.1", port=find_free_port(), tls_context=context, require_starttls=True
    )
    controller.start()
    yield controller.port
    with app.app_context():
        close_dispatcher()  # the server warns of sessions that are open when it stops
    controller.stop()


def test_a_server_with_an_unknown_certificate_gets_no_letter(
    send: Send,
    letter: OutboxLetter,
    settings: MailSettings,
    tls_server: int,
    smtp: SmtpServer,
    session: Session,
) -> None:
    settings.use_tls, settings.server, settings.port = True, "localhost", tls_server
    assert send() == 0
    session.refresh(letter)
    assert "certificate is not valid" in letter.last_error
    assert smtp.letters == []


def test_a_server_with_a_trusted_certificate_gets_the_letter(
    send: Send, letter: OutboxLetter, settings: MailSettings, tls_server: int, trust: None, smtp: SmtpServer
) -> None:
    settings.use_tls, settings.server, settings.port = True, "localhost", tls_server
    assert send() == 1
    assert len(smtp.letters) == 1


def test_a_server_with_another_hosts_certificate_gets_no_letter(
    send: Send,
    letter: OutboxLetter,
    settings: MailSettings,
    tls_server: int,
    trust: None,
    smtp: SmtpServer,
    session: Session,
) -> None:
    settings.use_tls, settings.server, settings.port = True, "127.0.0.1", tls_server
    assert send() == 0
    session.refresh(letter)
    assert "certificate is not valid" in letter.last_error
