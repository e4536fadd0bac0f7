"""Test the test emails of domains: sending, what their arrival shows, and letters that only resemble them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import OutboxLetter, ReturnedState, SendingDomain, User
from skymailing.returns.arrivals import Arrival
from skymailing.returns.services import ingest_letters
from tests.domains.scenes import add_sender, check, has_signature, publish, read_domain, sign
from tests.mailings.pages import get_main_text
from tests.support.dns_server import DnsServer
from tests.support.servers import SmtpServer

Work = Callable[[], None]
MAILBOX = "returns@sky.example"
UNDERSTOOD, UNCLEAR, IGNORED = ReturnedState.UNDERSTOOD, ReturnedState.UNCLEAR, ReturnedState.IGNORED


@pytest.fixture
def mailbox(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "UNSUBSCRIBE_MAILBOX", MAILBOX)
    monkeypatch.setitem(app.config, "PUBLIC_URL", "https://sky.example")


@pytest.fixture
def verified(app: Flask, session: Session, dns: DnsServer, domain: SendingDomain) -> SendingDomain:
    publish(dns, domain)
    return check(app, session, domain)


@pytest.fixture(scope="session")
def relay_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def arrive(app: Flask, raw: bytes) -> ReturnedState:
    with app.app_context():
        state = ingest_letters([Arrival.read(raw, "pipe")], utcnow())[0].state
        db.session.commit()
    return state


def send_probe(browser: FlaskClient, domain: SendingDomain, work: Work, smtp: SmtpServer) -> bytes:
    """Press the button, and return the letter as the installation's mail server receives it."""
    before = len(smtp.letters)
    browser.post(f"/domains/{domain.id}/probe")
    work()
    (letter,) = smtp.letters[before:]
    return letter.content


def forget_pause(session: Session, domain: SendingDomain) -> None:
    """Let the owner send another test email at once."""
    read_domain(session, domain.name).probe_sent_at = utcnow() - timedelta(minutes=6)
    session.flush()


def test_a_test_email_shows_that_our_signature_covers_unsubscribing(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    dns: DnsServer,
    verified: SendingDomain,
    smtp: SmtpServer,
    mailbox: None,
    work: Work,
) -> None:
    add_sender(session, user, "news@shop.example", confirmed_at=utcnow())
    page = f"/domains/{verified.id}"
    assert "Send a test email" in get_main_text(browser.get(page))
    browser.post(f"{page}/probe")
    waiting = browser.get(page)
    assert "on its way" in get_main_text(waiting)
    assert "hx-get" in waiting.text
    work()
    (letter,) = smtp.letters
    assert (letter.sender, letter.to) == ("letters@sky.example", MAILBOX)
    assert "news@shop.example" in letter.parsed["From"]
    assert has_signature(letter, dns)

    assert arrive(app, letter.content) is UNDERSTOOD
    arrived = get_main_text(browser.get(page))
    assert "Signed by shop.example, as DMARC requires." in arrived
    assert "The signature covers the unsubscribe headers" in arrived
    assert "on its way" not in arrived
    assert "every 5 minutes" in browser.post(f"{page}/probe", follow_redirects=True).text
    work()
    assert len(smtp.letters) == 1
    forget_pause(session, verified)
    send_probe(browser, verified, work, smtp)
    assert "on its way" in get_main_text(browser.get(page))


@pytest.mark.one_engine
def test_the_page_shows_what_a_mail_servers_signature_lacks(
    app: Flask,
    session: Session,
    browser: FlaskClient,
    verified: SendingDomain,
    smtp: SmtpServer,
    mailbox: None,
    relay_key: bytes,
    work: Work,
) -> None:
    page = f"/domains/{verified.id}"
    browser.post(f"{page}/signing", data={})  # the mail server signs
    covering = ("list-unsubscribe", "list-unsubscribe-post")
    failed = b"Authentication-Results: mx.sky.example; dkim=fail header.d=shop.example\r\n"
    cases: list[tuple[Callable[[bytes], bytes], str]] = [
        (lambda raw: raw, "The email has no signature"),
        (lambda raw: sign(raw, relay_key, "relay.example"), "Signed by relay.example, not by your domain"),
        (lambda raw: sign(raw, relay_key, "shop.example", covering[0]), "does not cover List-Unsubscribe"),
        (
            # Of the two signatures, the domain's own counts; a parent domain's would be enough.
            lambda raw: sign(sign(raw, relay_key, "shop.example", *covering), relay_key, "relay.example"),
            "Signed by shop.example, as DMARC requires. The signature covers",
        ),
        (lambda raw: failed + sign(raw, relay_key, "shop.example", *covering), "is not valid"),
    ]
    for change, expected in cases:
        forget_pause(session, verified)
        raw = send_probe(browser, verified, work, smtp)
        assert arrive(app, change(raw)) is UNDERSTOOD
        assert expected in " ".join(get_main_text(browser.get(page)).split())


@pytest.mark.one_engine
def test_forged_repeated_and_late_test_emails_change_nothing(
    app: Flask,
    session: Session,
    browser: FlaskClient,
    verified: SendingDomain,
    smtp: SmtpServer,
    mailbox: None,
    work: Work,
) -> None:
    raw = send_probe(browser, verified, work, smtp)
    subject = next(line for line in raw.split(b"\r\n") if line.startswith(b"Subject: "))
    forged = raw.replace(subject, b"Subject: SkyMailing test email " + b"x" * 60)
    assert forged != raw
    assert arrive(app, forged) is UNCLEAR
    assert arrive(app, b"Auto-Submitted: auto-replied\r\n" + raw) is IGNORED
    report = b"From: Mail Delivery System <robot@shop.example>\r\n" + subject + b"\r\n\r\n"
    report += b"returns@sky.example: unable to deliver this email, mailbox full\r\n"
    assert arrive(app, report) is UNCLEAR
    with time_machine.travel(utcnow() + timedelta(hours=25), tick=True):
        assert arrive(app, b"X-Late: yes\r\n" + raw) is IGNORED
    assert "arrival" not in read_domain(session).probe

    forget_pause(session, verified)
    new = send_probe(browser, verified, work, smtp)
    assert arrive(app, b"X-Earlier: yes\r\n" + raw) is IGNORED, "only the last one counts"
    assert "arrival" not in read_domain(session).probe
    assert arrive(app, new) is UNDERSTOOD
    seen = read_domain(session).probe
    assert arrive(app, new.replace(b"d=shop.example", b"d=evil.example")) is IGNORED
    assert read_domain(session).probe == seen


@pytest.mark.one_engine
def test_the_page_explains_why_there_is_no_result(
    app: Flask,
    session: Session,
    browser: FlaskClient,
    dns: DnsServer,
    domain: SendingDomain,
    smtp: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
) -> None:
    page = f"/domains/{domain.id}"
    rejection = browser.post(f"{page}/probe", follow_redirects=True).text
    assert "Create the DNS records first" in rejection
    publish(dns, domain)
    check(app, session, domain)
    assert "has no mailbox for test emails" in get_main_text(browser.get(page))
    assert "has no mailbox" in browser.post(f"{page}/probe", follow_redirects=True).text

    monkeypatch.setitem(app.config, "UNSUBSCRIBE_MAILBOX", MAILBOX)
    smtp.rcpt_replies[MAILBOX] = "550 5.1.1 no such mailbox"
    browser.post(f"{page}/probe")
    work()
    refused = get_main_text(browser.get(page))
    assert "could not be sent" in refused
    assert "550 5.1.1 no such mailbox" in refused
    # On SQLite, a new letter can get the ID of one that has been removed.
    letter = session.get_one(OutboxLetter, read_domain(session).probe["letter"])
    letter.template = "password-reset"
    session.flush()
    assert "no such mailbox" not in get_main_text(browser.get(page))

    smtp.clear()
    forget_pause(session, domain)
    raw = send_probe(browser, domain, work, smtp)
    read_domain(session).probe_sent_at = utcnow() - timedelta(minutes=20)
    session.flush()
    assert "has not arrived yet" in get_main_text(browser.get(page))
    assert b"List-Unsubscribe-Post" not in raw, "one click needs HTTPS"
