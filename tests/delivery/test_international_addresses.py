"""Test letters to addresses with a local part that is not ASCII (RFC 6531, SMTPUTF8)."""

import csv
import io
from email import message_from_string, policy
from email.headerregistry import AddressHeader

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.delivery.rendering.content import TemplateError
from skymailing.delivery.rendering.mime import encode_recipient
from skymailing.email_addresses import NO_INTERNATIONAL_ADDRESSES
from skymailing.models import Mailing, MailingState, Route, Suppression, User
from tests.delivery.conftest import ServeFrom, Start, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.sink import Script, Sink, Stage, Turn
from tests.support.factories import ClientFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

# The dialogue with a mail server does not depend on the database.
pytestmark = pytest.mark.one_engine

ADDRESS = "Почта@xn--e1afmkfd.xn--p1ai"
WITH_SMTPUTF8 = ("PIPELINING", "8BITMIME", "SMTPUTF8")


def create_international(user: User, count: int) -> list[str]:
    return [
        ClientFactory.create(owner=user, email=f"почта{number}@xn--e1afmkfd.example").email
        for number in range(count)
    ]


def send(session: Session, user: User, sweep: Work, sink: Sink, serve_from: ServeFrom) -> Mailing:
    """Send a mailing to all clients through the server, and check the ledger; return the mailing."""
    mailing = due_mailing(user)
    with sink:
        serve_from(sink.port)
        sweep()
    session.refresh(mailing)
    check_ledger(session, get_only_run(session), sink.letters)
    return mailing


def check_nothing_is_blamed(session: Session, mailing: Mailing) -> None:
    assert mailing.state is MailingState.FINISHED
    assert session.scalar(select(func.count()).select_from(Suppression)) == 0
    assert [fault for fault in session.scalars(select(Route.last_fault)) if fault] == []


@pytest.mark.both_engines
def test_a_letter_to_a_cyrillic_address_arrives(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    """aiosmtpd refuses UTF-8 in an address without the parameter SMTPUTF8."""
    ClientFactory.create(owner=user, email=ADDRESS, full_name="Анна Петрова")
    ClientFactory.create(owner=user, email="anna@example.com", full_name="Анна Петрова")
    start(due_mailing(user))

    assert smtp.per_address() == {ADDRESS: 1, "anna@example.com": 1}
    letter = next(letter for letter in smtp.letters if letter.to == ADDRESS)
    # Python's parser of bytes leaves UTF-8 in addresses undecoded.
    to = message_from_string(letter.content.decode(), policy=policy.default)["To"]
    assert isinstance(to, AddressHeader)
    assert [(to.addresses[0].display_name, to.addresses[0].addr_spec)] == [("Анна Петрова", ADDRESS)]
    headers, _, body = letter.content.partition(b"\r\n\r\n")
    assert f"<{ADDRESS}>".encode() in headers, "UTF-8, as encoded words are not allowed in addresses"
    assert body.isascii(), "so no BODY=8BITMIME is needed"
    check_ledger(session, get_only_run(session), smtp.letters)


@pytest.mark.parametrize("address", ["й й@b.c", "й\u202e@b.c", "й<@b.c", "й\r\n@b.c", "й@й.c"])
def test_an_invalid_international_address_never_gets_into_a_header(address: str) -> None:
    with pytest.raises(TemplateError):
        encode_recipient(address)


@pytest.mark.parametrize("extensions", [WITH_SMTPUTF8, WITH_SMTPUTF8[1:]], ids=["pipelined", "in-steps"])
def test_only_letters_that_need_it_request_smtputf8(
    session: Session, user: User, sweep: Work, serve_from: ServeFrom, extensions: tuple[str, ...]
) -> None:
    requests: list[tuple[bool, bool]] = []
    senders: dict[int, str] = {}

    def record(turn: Turn) -> None:
        if turn.stage is Stage.MAIL:
            senders[turn.connection] = turn.peer.received[-1]
        elif turn.stage is Stage.RCPT:
            requests.append((senders[turn.connection].endswith("> SMTPUTF8"), not turn.recipient.isascii()))

    create_clients(user, 6)
    create_international(user, 6)
    create_clients(user, 6)
    mailing = send(session, user, sweep, Sink(record, extensions), serve_from)
    assert sorted(requests) == [(False, False)] * 12 + [(True, True)] * 6
    check_nothing_is_blamed(session, mailing)


@pytest.mark.both_engines
def test_a_server_without_smtputf8_gets_only_the_other_letters(
    session: Session, user: User, sweep: Work, serve_from: ServeFrom, browser: FlaskClient
) -> None:
    addresses = create_international(user, 12)
    create_clients(user, 3)
    sink = Sink()
    mailing = send(session, user, sweep, sink, serve_from)

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 3, "failed": 12}, "more than pause a rejected mailing"
    assert not any("почта" in line for line in sink.unencrypted), "the server never sees them"
    check_nothing_is_blamed(session, mailing)

    english = "The mail server does not accept addresses with non-Latin letters before the @ sign."
    russian = "Почтовый сервер не принимает адреса с нелатинскими буквами перед знаком @."
    for locale, sentence in (("en", english), ("ru", russian)):
        user.locale = locale
        session.commit()
        for url in (f"/mailings/runs/{run.id}", f"/mailings/{mailing.id}/log?outcome=failed"):
            assert sentence in browser.get(url).text
    log = browser.get(f"/mailings/{mailing.id}/log", query_string={"q": "Почта3@пример.EXAMPLE"}).text
    assert "почта3@пример.example" in log
    assert "почта4" not in log
    exported = csv.DictReader(
        io.StringIO(browser.get(f"/mailings/{mailing.id}/log.csv").text.lstrip("\ufeff"))
    )
    failed = {row["email"]: row["answer"] for row in exported if row["outcome"] == "failed"}
    assert failed == dict.fromkeys(addresses, NO_INTERNATIONAL_ADDRESSES)


def refuse(stage: Stage, reply: str) -> Script:
    """Return a script that refuses international letters at one stage."""

    def script(turn: Turn) -> None:
        is_international = turn.peer.received[-1:] and "SMTPUTF8" in turn.peer.received[-1]
        if stage is turn.stage and (is_international or not turn.recipient.isascii()):
            turn.say(reply)

    return script


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        (Stage.MAIL, "555 5.5.4 Unsupported option: SMTPUTF8"),
        (Stage.MAIL, "550 5.6.7 SMTPUTF8 is not supported for this sender"),
        (Stage.RCPT, "553 5.6.7 Non-ASCII addresses not permitted for that recipient"),
    ],
)
def test_a_server_that_offers_smtputf8_and_refuses_it_is_not_blamed(
    session: Session, user: User, sweep: Work, serve_from: ServeFrom, stage: Stage, reply: str
) -> None:
    create_international(user, 12)
    create_clients(user, 3)
    mailing = send(session, user, sweep, Sink(refuse(stage, reply), WITH_SMTPUTF8), serve_from)
    assert count_states(session, get_only_run(session)) == {"sent": 3, "failed": 12}
    check_nothing_is_blamed(session, mailing)


def test_a_refused_sender_is_still_recognized(
    session: Session, user: User, sweep: Work, serve_from: ServeFrom
) -> None:
    """An international letter is not failed because of our own settings."""
    create_international(user, 2)
    script = refuse(Stage.MAIL, "553 5.7.1 Sender address rejected")
    mailing = send(session, user, sweep, Sink(script, WITH_SMTPUTF8), serve_from)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason.startswith("refused: 553 5.7.1")
    assert count_states(session, get_only_run(session)) == {"pending": 2}
