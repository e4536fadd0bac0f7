"""Provide endpoints of webhooks, and a receiver on loopback with a host name and a valid certificate."""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.smtp import connection
from skymailing.encryption import WEBHOOK_ACCESS, encrypt
from skymailing.events.recording import Event, record
from skymailing.extensions import db
from skymailing.models import EventType, User, WebhookCall, WebhookEndpoint
from skymailing.webhooks import tasks
from skymailing.webhooks.signatures import make_secret
from tests.webhooks.receiver import Receiver

HOST = "hooks.shop.example"
SECRET = make_secret()

MakeEndpoint = Callable[..., WebhookEndpoint]
Emit = Callable[..., None]
SendCalls = Callable[[], None]
ListCalls = Callable[[], list[WebhookCall]]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Return what DNS answers: for each host, the addresses of each lookup; the last lookup repeats."""
    found = {HOST: [["127.0.0.1"]]}
    look_up = socket.getaddrinfo

    def answer(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in found:
            return look_up(host, port, *arguments, **options)
        lookups = found[host]
        listed = lookups.pop(0) if len(lookups) > 1 else lookups[0]
        return [entry for address in listed for entry in look_up(address, port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return found


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Trust certificates of the tests; return the file of their authority."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    connection.verifying_context.cache_clear()
    yield path
    connection.verifying_context.cache_clear()


@pytest.fixture
def on_loopback(
    app: Flask,
    trusted: Path,
    addresses: dict[str, list[list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Allow receivers on this host."""
    monkeypatch.setitem(app.config, "WEBHOOKS_PRIVATE_NETWORKS", (ip_network("127.0.0.0/8"),))


@pytest.fixture
def receiver(session: Session, certificate: ssl.SSLContext, on_loopback: None) -> Iterator[Receiver]:
    """Run a receiver that accepts every call."""
    with Receiver(certificate) as running:
        yield running


@pytest.fixture
def make_endpoint(app: Flask, session: Session) -> MakeEndpoint:
    """Return a function that creates an endpoint at a port of HOST, which wants all events unless given."""

    def make(owner: User, port: int = 443, *types: EventType, **values: Any) -> WebhookEndpoint:
        with app.app_context():
            encrypted = encrypt(SECRET, WEBHOOK_ACCESS)
        defaults: dict[str, Any] = {
            "url": f"https://{HOST}:{port}/hook",
            "events": [type_.value for type_ in types or EventType],
            "wants_letters": EventType.LETTERS_CHANGED in types,
            "encrypted_secret": encrypted,
        }
        endpoint = WebhookEndpoint(owner_id=owner.id, **defaults | values)
        session.add(endpoint)
        session.flush()
        return endpoint

    return make


@pytest.fixture
def emit(app: Flask, session: Session) -> Emit:
    """Return a function that records events of an owner, one for each of the given data."""

    def emit_events(owner: User, *data: dict[str, Any], type_: EventType = EventType.RUN_FINISHED) -> None:
        with app.app_context():
            record(db.session.connection(), *(Event(owner.id, type_, item, utcnow()) for item in data))
            db.session.commit()

    return emit_events


@pytest.fixture
def send_calls(app: Flask) -> SendCalls:
    """Return a function that sends calls until none is due."""

    def send() -> None:
        with app.app_context():
            tasks.send_due_calls()

    return send


@pytest.fixture
def list_calls(session: Session) -> ListCalls:
    """Return a function that reads all calls."""

    def read() -> list[WebhookCall]:
        session.expire_all()
        return list(session.scalars(select(WebhookCall).order_by(WebhookCall.id)))

    return read


@dataclass
class Hooks:
    """A user with a receiver, and functions that create endpoints, record events, and send and list calls."""

    user: User
    receiver: Receiver
    make_endpoint: MakeEndpoint
    emit: Emit
    send_calls: SendCalls
    list_calls: ListCalls


@pytest.fixture
def hooks(
    user: User,
    receiver: Receiver,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
) -> Hooks:
    return Hooks(user, receiver, make_endpoint, emit, send_calls, list_calls)
