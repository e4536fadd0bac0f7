"""Test letters from an owner's own sender, through their own mail server, and with their signature."""

from collections.abc import Callable

from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import ApiKey, Attempt, KeyKind, Run, SendingDomain, User
from tests.api.conftest import Program
from tests.delivery.ledger import check_ledger
from tests.domains.conftest import dns, domain  # noqa: F401 - fixtures
from tests.domains.scenes import add_sender, check, has_signature, publish
from tests.faults.sink import Sink, Stage
from tests.letters.conftest import CloseDay, Send
from tests.servers.conftest import (  # noqa: F401 - fixtures
    MakeSender,
    MakeServer,
    addresses,
    authority,
    certificate,
    make_sender,
    make_server,
    on_loopback,
    sink,
)
from tests.support.dns_server import DnsServer
from tests.support.servers import SmtpServer

Work = Callable[[], None]


def test_a_letter_goes_through_its_senders_server(
    session: Session,
    user: User,
    program: Program,
    send: Send,
    smtp: SmtpServer,
    work: Work,
    sink: Sink,  # noqa: F811
    make_server: MakeServer,  # noqa: F811
    make_sender: MakeSender,  # noqa: F811
) -> None:
    server = make_server(user, sink.port)
    sender = make_sender(user, server)
    envelopes: list[str] = []
    sink.script = lambda turn: envelopes.append(turn.line) if turn.stage is Stage.MAIL else None
    sent = send(sender_id=sender.id)
    service = send(sender_id=None, to="bo@example.org")
    work()
    assert program.read(f"/letters/{sent['id']}")["state"] == "sent"
    assert program.read(f"/letters/{service['id']}")["state"] == "sent"
    assert len(sink.letters) == 1
    assert b"<news@shop.example>" in sink.letters[0].content
    assert envelopes == ["MAIL FROM:<news@shop.example>"]
    assert [letter.to for letter in smtp.letters] == ["bo@example.org"]
    assert set(session.scalars(select(Attempt.route))) == {server.route, "primary"}
    own, _service = session.scalars(select(Run).order_by(Run.id))
    assert own.server_id == server.id
    check_ledger(session, own, sink.letters)


def test_a_test_key_does_not_use_the_server(
    user: User,
    session: Session,
    sink: Sink,  # noqa: F811
    make_server: MakeServer,  # noqa: F811
    make_sender: MakeSender,  # noqa: F811
    send: Send,
    program: Program,
    work: Work,
) -> None:
    sender = make_sender(user, make_server(user, sink.port))
    session.execute(update(ApiKey).values(kind=KeyKind.TEST))
    sent = send(sender_id=sender.id)
    work()
    assert program.read(f"/letters/{sent['id']}")["state"] == "sent"
    assert sink.letters == []
    (caught,) = program.read_all("/test-letters")
    assert "<news@shop.example>" in program.read(f"/test-letters/{caught['id']}")["source"]


def test_a_letter_from_a_verified_domain_is_signed(
    app: Flask,
    session: Session,
    user: User,
    dns: DnsServer,  # noqa: F811
    domain: SendingDomain,  # noqa: F811
    send: Send,
    smtp: SmtpServer,
    work: Work,
    close_day: CloseDay,
) -> None:
    publish(dns, domain)
    check(app, session, domain)
    sender = add_sender(session, user, "news@shop.example", confirmed_at=utcnow())
    send(sender_id=sender.id, subject="Заказ {{ order.id }}")
    work()
    (letter,) = smtp.letters
    assert has_signature(letter, dns)
    assert letter.sender == "letters@sky.example"
    assert close_day().planned == 1
