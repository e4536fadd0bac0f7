"""Test domains: their records, the proof, the senders that it confirms, and letters' signatures."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.delivery.send import send_slice
from skymailing.domains.records import list_records
from skymailing.models import (
    MailingState,
    OutboxLetter,
    SendingDomain,
    SigningKey,
    StateReason,
    User,
)
from skymailing.outbox.tasks import send_due_letters
from tests.conftest import SignIn
from tests.domains.scenes import add_sender, check, has_signature, publish, read_domain, read_sender
from tests.mailings.pages import get_main_text
from tests.support.dns_server import DnsServer
from tests.support.factories import ClientFactory, MessageFactory, UserFactory, due_mailing
from tests.support.servers import SmtpServer

Work = Callable[[], None]
POLICY = ("_dmarc.shop.example", "TXT")


def test_a_domain_is_verified_by_its_records(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    dns: DnsServer,
    domain: SendingDomain,
    work: Work,
) -> None:
    waiting = add_sender(session, user, "news@mail.shop.example")
    other = add_sender(session, user, "news@othershop.example")
    work()  # the check that adding the domain has queued
    page = get_main_text(browser.get(f"/domains/{domain.id}"))
    for record in list_records(domain):
        assert record.name in page
        assert record.value in page
    assert page.count("not found") == 3
    assert "waiting for records" in get_main_text(browser.get("/senders/"))
    publish(dns, domain)
    assert browser.post(f"/domains/{domain.id}/check").status_code == 302
    assert "Checking the records" in browser.get(f"/domains/{domain.id}").text
    work()
    verified = browser.get(f"/domains/{domain.id}")
    for text in ("The domain is verified", "Check again"):
        assert text in get_main_text(verified)
    assert verified.text.count("state-good") == 3
    assert read_sender(session, waiting).is_confirmed
    assert not read_sender(session, other).is_confirmed
    browser.post("/senders/new", data={"address": "sales@shop.example"})
    assert "confirmed" in get_main_text(browser.get("/senders/"))
    assert session.scalars(select(OutboxLetter)).all() == [], "no address of the domain needs a letter"


def test_letters_from_a_verified_domain_are_signed(
    app: Flask, session: Session, user: User, dns: DnsServer, domain: SendingDomain, smtp: SmtpServer
) -> None:
    publish(dns, domain)
    check(app, session, domain)
    sender = add_sender(session, user, "news@shop.example", confirmed_at=utcnow())
    foreign = add_sender(session, user, "news@other.example", confirmed_at=utcnow())
    ClientFactory.create(owner=user, full_name="Анна")
    with app.app_context():
        for chosen in (sender, foreign):
            mailing = due_mailing(
                user,
                sender_id=chosen.id,
                message=MessageFactory.create(owner=user, subject="Скидки, {{ name }}"),
            )
            run_id = plan.start_due_run(mailing.id, utcnow())
            assert run_id is not None
            send_slice(run_id, lambda _elapsed: False)
    signed, unsigned = smtp.letters
    assert has_signature(signed, dns)
    assert b"d=shop.example;" in signed.content
    assert b"DKIM-Signature" not in unsigned.content


@pytest.mark.one_engine
def test_a_new_key_signs_once_its_record_is_found(
    app: Flask, session: Session, user: User, browser: FlaskClient, dns: DnsServer, domain: SendingDomain
) -> None:
    publish(dns, domain)
    domain = check(app, session, domain)
    old = dict(dns.zone)
    assert "Create the new record" in browser.post(f"/domains/{domain.id}/key", follow_redirects=True).text
    now = utcnow()
    domain = check(app, session, domain, now)
    assert [key.published_at is None for key in domain.keys] == [False, True]
    assert (
        "Create the DNS record for the new key first"
        in browser.post(f"/domains/{domain.id}/key", follow_redirects=True).text
    )
    publish(dns, domain)
    assert old.items() <= dns.zone.items(), "the record of the earlier key is kept"
    domain = check(app, session, domain, now)
    assert [key.published_at is None for key in domain.keys] == [False, False]
    domain = check(app, session, domain, now + timedelta(days=6))
    assert len(domain.keys) == 2
    domain = check(app, session, domain, now + timedelta(days=8))
    assert [key.selector for key in domain.keys] == ["sky2"]


@pytest.mark.one_engine
def test_a_missing_record_ends_the_proof_after_three_days(
    app: Flask, session: Session, user: User, dns: DnsServer, domain: SendingDomain, smtp: SmtpServer
) -> None:
    publish(dns, domain)
    sender = add_sender(session, user, "news@shop.example")
    own = add_sender(session, user, "sales@shop.example", confirmed_at=utcnow())
    domain = check(app, session, domain)
    start = utcnow()
    dns.is_silent = True
    domain = check(app, session, domain, start)
    assert domain.is_verified, "a missing answer proves nothing"
    assert domain.missing_since is None
    dns.is_silent = False
    dns.zone.clear()
    for days in (0, 1, 2):
        domain = check(app, session, domain, start + timedelta(days=days))
        assert domain.is_verified
    with app.app_context():
        send_due_letters(utcnow(), lambda _elapsed: False)
    (letter,) = smtp.letters
    assert "shop.example is missing" in letter.text
    domain = check(app, session, domain, start + timedelta(days=3))
    assert not domain.is_verified
    assert not read_sender(session, sender).is_confirmed
    assert read_sender(session, own).is_confirmed, "its mailbox confirmed it"


@pytest.mark.one_engine
def test_a_domain_belongs_to_one_account(
    app: Flask, session: Session, sign_in: SignIn, dns: DnsServer, domain: SendingDomain
) -> None:
    publish(dns, domain)
    check(app, session, domain)
    thief = sign_in(UserFactory.create())
    thief.post("/domains/new", data={"name": "shop.example"})
    second = read_domain(session)
    assert second.id != domain.id
    publish(dns, second)
    second = check(app, session, second)
    assert not second.is_verified
    assert "Another account has verified this domain." in get_main_text(thief.get(f"/domains/{second.id}"))


@pytest.mark.one_engine
def test_a_wrong_record_is_shown(
    app: Flask, session: Session, browser: FlaskClient, dns: DnsServer, domain: SendingDomain
) -> None:
    publish(dns, domain)
    dns.zone[f"_skymailing.{domain.name}", "TXT"] = ['"skymailing=<b>0000</b>"']
    dns.zone[POLICY] = ['"v=DMARC1; p=no"']
    check(app, session, domain)
    page = browser.get(f"/domains/{domain.id}")
    assert get_main_text(page).count("different") == 2
    assert "skymailing=&lt;b&gt;0000&lt;/b&gt;" in page.text
    assert "v=DMARC1; p=no<" in page.text


@pytest.mark.one_engine
def test_the_owner_can_leave_signing_to_the_mail_server(
    app: Flask, session: Session, browser: FlaskClient, dns: DnsServer, domain: SendingDomain
) -> None:
    browser.post(f"/domains/{domain.id}/signing", data={})
    assert not read_domain(session).is_signed
    assert "_domainkey" not in browser.get(f"/domains/{domain.id}").text
    browser.post(f"/domains/{domain.id}/signing", data={"is_signed": "y"})
    assert read_domain(session).is_signed


@pytest.mark.one_engine
def test_a_key_that_cannot_be_read_pauses_the_mailing(
    app: Flask, session: Session, user: User, dns: DnsServer, domain: SendingDomain, smtp: SmtpServer
) -> None:
    publish(dns, domain)
    check(app, session, domain)
    key = session.scalars(select(SigningKey)).one()
    key.secret = key.secret[:-10] + "AAAAAAAA=="
    sender = add_sender(session, user, "news@shop.example", confirmed_at=utcnow())
    ClientFactory.create(owner=user)
    mailing = due_mailing(user, sender_id=sender.id)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id is not None
        send_slice(run_id, lambda _elapsed: False)
        close_dispatcher()
    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason.startswith(StateReason.RENDER_FAILED)
    assert smtp.letters == []


@pytest.mark.one_engine
def test_deleting_a_domain_withdraws_what_it_proved(
    app: Flask, session: Session, user: User, browser: FlaskClient, dns: DnsServer, domain: SendingDomain
) -> None:
    publish(dns, domain)
    sender = add_sender(session, user, "news@shop.example")
    check(app, session, domain)
    assert "1 sender will have to be confirmed" in browser.get(f"/domains/{domain.id}/delete").text
    assert browser.post(f"/domains/{domain.id}/delete").status_code == 302
    assert session.scalars(select(SigningKey)).all() == []
    assert not read_sender(session, sender).is_confirmed
    assert "Domain deleted." in get_main_text(browser.get("/senders/"))


def test_a_sender_remains_confirmed_by_another_domain_of_its_owner(
    app: Flask, session: Session, browser: FlaskClient, user: User, dns: DnsServer, domain: SendingDomain
) -> None:
    browser.post("/domains/new", data={"name": "news.shop.example"})
    below = read_domain(session, "news.shop.example")
    for each in (domain, below):
        publish(dns, each)
        check(app, session, each)
    sender = add_sender(
        session, user, "anna@news.shop.example", confirmed_at=utcnow(), is_confirmed_by_domain=True
    )
    assert "have to be confirmed" not in browser.get(f"/domains/{below.id}/delete").text
    assert browser.post(f"/domains/{below.id}/delete").status_code == 302
    assert read_sender(session, sender).is_confirmed
    assert browser.post(f"/domains/{domain.id}/delete").status_code == 302
    assert not read_sender(session, sender).is_confirmed


def test_a_record_with_nul_characters_is_stored(
    app: Flask, session: Session, dns: DnsServer, domain: SendingDomain
) -> None:
    """A check that raises an error would be repeated forever, ahead of other domains' checks."""
    for record in list_records(domain):
        dns.zone[record.name, "TXT"] = [r'"a\000b"']
    assert check(app, session, domain).findings["ownership"] == {"state": "wrong", "found": "ab"}


@pytest.mark.one_engine
def test_a_long_name_needs_few_queries(
    app: Flask, session: Session, browser: FlaskClient, dns: DnsServer
) -> None:
    """Its owner's name server can take seconds for each query, while other domains wait."""
    name = "a." * 100 + "shop.example"
    browser.post("/domains/new", data={"name": name})
    domain = read_domain(session, name)
    check(app, session, domain)
    assert dns.query_count <= 10
    dns.zone["_dmarc.shop.example", "TXT"] = ['"v=DMARC1; p=none"']
    assert check(app, session, domain).findings["policy"]["state"] == "found"
