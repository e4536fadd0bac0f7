"""Test that `flask doctor` sends test letters to ourselves, and reports how they arrived."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import ReturnedState, Route
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.run import run_checks
from skymailing.returns.arrivals import Arrival
from skymailing.returns.letter import Envelope
from skymailing.returns.services import ingest_letters
from tests.domains.scenes import sign
from tests.faults.sink import Sink, Stage, Turn
from tests.support.servers import Letter, SmtpServer

MAILBOX = "returns@sky.example"
COVERING = ("list-unsubscribe", "list-unsubscribe-post")
UNSEEN = None


@pytest.fixture(scope="module")
def key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def doctor(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Check]]:
    monkeypatch.setitem(app.config, "UNSUBSCRIBE_MAILBOX", MAILBOX)
    monkeypatch.setitem(app.config, "PUBLIC_URL", "https://sky.example")

    def run() -> dict[str, Check]:
        with app.app_context():
            found = run_checks(["signature", "return-path"])
        session.expire_all()
        return {check.name: check for check in found}

    return run


def arrive(app: Flask, raw: bytes, sender: str | None = UNSEEN) -> ReturnedState:
    with app.app_context():
        state = ingest_letters([Arrival.read(raw, "pipe", Envelope(sender))], utcnow())[0].state
        db.session.commit()
    return state


def wait_an_hour(session: Session) -> None:
    route = session.get_one(Route, "primary")
    assert route.probe_sent_at is not None
    route.probe_sent_at -= timedelta(hours=1, minutes=1)
    session.flush()


def test_doctor_reports_what_the_mail_server_signs(
    app: Flask, session: Session, doctor: Callable[[], dict[str, Check]], smtp: SmtpServer, key: bytes
) -> None:
    first = doctor()["signature"]
    assert (first.is_ok, first.is_known) == (True, False)
    assert "a test letter was sent" in first.finding
    doctor()
    (letter,) = smtp.letters  # not one for each run
    assert (letter.sender, letter.to) == ("letters@sky.example", MAILBOX)

    cases: list[tuple[Callable[[Letter], bytes], str]] = [
        (lambda found: found.content, "primary: letters have no DKIM signature"),
        (lambda found: sign(found.content, key, "relay.example", *COVERING), "not by sky.example"),
        (lambda found: sign(found.content, key, "sky.example", COVERING[0]), "cover list-unsubscribe-post"),
        (lambda found: sign(found.content, key, "sky.example", *COVERING), ""),
    ]
    for change, problem in cases:
        assert arrive(app, change(smtp.letters[-1])) is ReturnedState.UNDERSTOOD
        check = doctor()["signature"]
        assert (check.is_ok, bool(check.advice)) == (not problem, bool(problem))
        assert problem in check.finding
        wait_an_hour(session)
        assert doctor()["signature"] == check, "the last result stays until the next letter arrives"
    assert (
        check.finding == "primary: letters are signed by sky.example, including the headers for unsubscribing"
    )
    assert len(smtp.letters) == 1 + len(cases)

    route = session.get_one(Route, "primary")
    assert route.probe_sent_at is not None
    route.probe_sent_at -= timedelta(minutes=20)
    session.flush()
    assert "has not arrived" in doctor()["signature"].finding
    wait_an_hour(session)
    smtp.rcpt_replies[MAILBOX] = "550 5.7.1 relaying denied"
    assert "was refused: 550 5.7.1 relaying denied" in doctor()["signature"].finding


@pytest.mark.one_engine
def test_without_a_mailbox_doctor_explains_how_to_set_one_up(
    app: Flask, session: Session, smtp: SmtpServer
) -> None:
    with app.app_context():
        (check,) = run_checks(["signature"])
    assert (check.is_ok, check.is_known) == (True, False)
    assert "UNSUBSCRIBE_MAILBOX" in check.finding
    assert smtp.letters == []


@pytest.mark.one_engine
def test_return_paths_with_a_token_are_used_once_one_has_come_through(
    app: Flask,
    session: Session,
    doctor: Callable[[], dict[str, Check]],
    smtp: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "MAIL_BOUNCE_ADDRESS", "bounces@sky.example")
    assert "no test letter has arrived yet" in doctor()["return-path"].finding
    for sender, reason in (
        (UNSEEN, "arrives without its envelope"),
        ("bounce-77@relay.example", "the mail server changed it to bounce-77@relay.example"),
        ("", "changed it to <>"),
    ):
        arrive(app, smtp.letters[-1].content, sender)
        check = doctor()["return-path"]
        assert (check.is_known, reason in check.finding) == (False, True)
        assert session.get_one(Route, "primary").bounce_address == ""
        wait_an_hour(session)
        doctor()
    tried = smtp.letters[-1]
    assert tried.sender == tried.to
    assert tried.sender.startswith("bounces+")
    assert len(tried.sender.partition("@")[0]) <= 64
    # A mailbox has the return path in a header.
    arrive(app, b"Return-Path: <%s>\r\n" % tried.sender.upper().encode() + tried.content)
    assert doctor()["return-path"].is_known
    assert session.get_one(Route, "primary").bounce_address == "bounces@sky.example"
    monkeypatch.setitem(app.config, "MAIL_BOUNCE_ADDRESS", "other@sky.example")
    assert not doctor()["return-path"].is_known, "another address has to be proven again"


@pytest.mark.one_engine
def test_a_server_that_refuses_the_return_path_still_gets_a_test_letter(
    app: Flask,
    session: Session,
    doctor: Callable[[], dict[str, Check]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.MAIL and "+" in turn.line:
            turn.say("553 5.1.8 sender rejected")

    monkeypatch.setitem(app.config, "MAIL_BOUNCE_ADDRESS", "bounces@sky.example")
    with Sink(refuse) as sink:
        monkeypatch.setattr(app.extensions["mail"], "port", sink.port)
        found = doctor()
    assert "the mail server refused one: 553 5.1.8 sender rejected" in found["return-path"].finding
    assert [letter.to.removeprefix("rcpt TO:<") for letter in sink.letters] == [MAILBOX]
    assert arrive(app, sink.letters[0].content) is ReturnedState.UNDERSTOOD
    assert session.get_one(Route, "primary").bounce_address == ""
