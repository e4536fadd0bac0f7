"""Provide owners' mail servers: real ones on loopback, with TLS, a password and a host name."""

import socket
import ssl
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.delivery.send import send_slice
from skymailing.delivery.smtp import connection
from skymailing.encryption import SMTP_ACCESS, encrypt
from skymailing.models import Security, Sender, SmtpServer, User
from tests.faults.sink import Sink
from tests.support.factories import create_clients, due_mailing

HOST = "mail.shop.example"
PASSWORD = "s3cret-word"
EXTENSIONS = ("PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN")

MakeServer = Callable[..., SmtpServer]
MakeSender = Callable[..., Sender]
SendFrom = Callable[..., int]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    return context


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Return the addresses that DNS returns for each host; the last one repeats."""
    found = {HOST: ["127.0.0.1"]}
    look_up = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in found:
            host = found[host].pop(0) if len(found[host]) > 1 else found[host][0]
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return found


@pytest.fixture
def on_loopback(
    app: Flask,
    authority: trustme.CA,
    addresses: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[None]:
    """Allow servers on this host, and trust their certificates."""
    monkeypatch.setitem(app.config, "MAIL_SERVERS_PRIVATE_NETWORKS", (ip_network("127.0.0.0/8"),))
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    connection.verifying_context.cache_clear()
    yield
    connection.verifying_context.cache_clear()


@pytest.fixture
def sink(app: Flask, session: Session, certificate: ssl.SSLContext, on_loopback: None) -> Iterator[Sink]:
    """Run an owner's mail server; it requires nothing, but offers STARTTLS and AUTH."""
    with Sink(tls=certificate, extensions=EXTENSIONS) as running:
        yield running
        with app.app_context():
            close_dispatcher()


@pytest.fixture
def make_server(app: Flask, session: Session) -> MakeServer:
    """Return a function that creates a server that has passed its test."""

    def make(owner: User | None, port: int, **values: Any) -> SmtpServer:
        with app.app_context():
            encrypted = encrypt(PASSWORD, SMTP_ACCESS)
        defaults: dict[str, Any] = {
            "name": "Shop",
            "host": HOST,
            "security": Security.STARTTLS,
            "username": "shop",
            "encrypted_password": encrypted,
            "has_passed": True,
            "tested_at": utcnow(),
        }
        server = SmtpServer(owner_id=owner.id if owner else None, port=port, **defaults | values)
        session.add(server)
        session.flush()
        return server

    return make


@pytest.fixture
def make_sender(session: Session) -> MakeSender:
    """Return a function that creates a confirmed sender that uses a server."""

    def make(owner: User, server: SmtpServer | None, address: str = "news@shop.example") -> Sender:
        sender = Sender(
            owner_id=owner.id,
            address=address,
            address_key=address,
            confirmed_at=utcnow(),
            server_id=server.id if server else None,
        )
        session.add(sender)
        session.flush()
        return sender

    return make


@pytest.fixture
def send_from(app: Flask, session: Session, make_sender: MakeSender) -> SendFrom:
    """Return a function that sends a mailing through its owner's server once, and returns the run's ID."""

    def send(owner: User, server: SmtpServer | None, clients: int = 3) -> int:
        create_clients(owner, clients)
        sender_id = make_sender(owner, server).id if server else None
        mailing = due_mailing(owner, sender_id=sender_id)
        with app.app_context():
            run_id = plan.start_due_run(mailing.id, utcnow())
            assert run_id is not None
            send_slice(run_id, lambda _elapsed: False)
        return run_id

    return send
