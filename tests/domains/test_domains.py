"""Domains: their records, the proof, the senders that it confirms, and the signature of letters."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import dkim
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
from skymailing.domains.tasks import check_domain, find_due_domains
from skymailing.extensions import db
from skymailing.models import (
    MailingState,
    OutboxLetter,
    Sender,
    SendingDomain,
    SigningKey,
    StateReason,
    User,
)
from skymailing.outbox.tasks import send_due_letters
from tests.conftest import SetLimits, SignIn
from tests.mailings.pages import error_beside, get_main_text
from tests.support.dns_server import DnsServer
from tests.support.factories import ClientFactory, MessageFactory, UserFactory, due_mailing
from tests.support.servers import Letter, SmtpServer

Work = Callable[[], None]
POLICY = ("_dmarc.shop.example", "TXT")


@pytest.fixture
def dns(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    with DnsServer({}) as server:
        monkeypatch.setitem(app.config, "DNS_SERVER", server.address)
        yield server


@pytest.fixture
def domain(browser: FlaskClient, session: Session, dns: DnsServer) -> SendingDomain:
    assert browser.post("/domains/new", data={"name": "Shop.example"}).status_code == 302
    return read_domain(session)


def read_domain(session: Session, name: str = "shop.example") -> SendingDomain:
    chosen = select(SendingDomain).where(SendingDomain.name == name).order_by(SendingDomain.id)
    return session.scalars(chosen.execution_options(populate_existing=True)).all()[-1]


def publish(dns: DnsServer, domain: SendingDomain) -> None:
    """Create the records that the domain's page shows."""
    for record in list_records(domain):
        parts = [record.value[start : start + 200] for start in range(0, len(record.value), 200)]
        dns.zone[record.name, "TXT"] = [" ".join(f'"{part}"' for part in parts)]


def check(app: Flask, session: Session, domain: SendingDomain, now: datetime | None = None) -> SendingDomain:
    with app.app_context():
        check_domain(domain.id, now or utcnow())
    return read_domain(session, domain.name)


def add_sender(session: Session, owner: User, address: str, **values: object) -> Sender:
    sender = Sender(owner_id=owner.id, name="Shop", address=address, address_key=address, **values)
    session.add(sender)
    session.flush()
    return sender


def read_sender(session: Session, sender: Sender) -> Sender:
    session.refresh(sender)
    return sender


def has_signature(letter: Letter, dns: DnsServer) -> bool:
    """Whether the letter has a signature that its domain's records confirm."""

    def query(name: bytes, timeout: int = 5) -> bytes | None:
        texts = dns.zone.get((name.decode().rstrip("."), "TXT"))
        return "".join(texts[0].split('"')[1::2]).encode() if texts else None

    return b"DKIM-Signature:" in letter.content and bool(dkim.verify(letter.content, dnsfunc=query))


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
    work()  # the check that adding the domain asked for
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
    app: Flask,
    session: Session,
    user: User,
    dns: DnsServer,
    domain: SendingDomain,
    smtp: SmtpServer,
    work: Work,
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
        "Create the record of the new key first"
        in browser.post(f"/domains/{domain.id}/key", follow_redirects=True).text
    )
    publish(dns, domain)
    assert old.items() <= dns.zone.items(), "the record of the earlier key stays"
    domain = check(app, session, domain, now)
    assert [key.published_at is None for key in domain.keys] == [False, False]
    domain = check(app, session, domain, now + timedelta(days=6))
    assert len(domain.keys) == 2
    domain = check(app, session, domain, now + timedelta(days=8))
    assert [key.selector for key in domain.keys] == ["sky2"]


@pytest.mark.one_engine
def test_a_missing_record_ends_the_proof_after_three_days(
    app: Flask,
    session: Session,
    user: User,
    dns: DnsServer,
    domain: SendingDomain,
    smtp: SmtpServer,
    work: Work,
) -> None:
    publish(dns, domain)
    sender = add_sender(session, user, "news@shop.example")
    own = add_sender(session, user, "sales@shop.example", confirmed_at=utcnow())
    domain = check(app, session, domain)
    start = utcnow()
    dns.is_silent = True
    domain = check(app, session, domain, start)
    assert domain.is_verified, "no answer says nothing"
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
    assert "has no policy" in page.text


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


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("SHOP.example", "shop.example"),
        ("https://www.shop.example/about?x=1", "shop.example"),
        ("anna@shop.example", "shop.example"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
    ],
)
def test_a_domain_is_understood_as_people_type_it(
    session: Session, browser: FlaskClient, dns: DnsServer, typed: str, stored: str
) -> None:
    assert browser.post("/domains/new", data={"name": typed}).status_code == 302
    assert read_domain(session, stored).name == stored


@pytest.mark.one_engine
def test_invalid_domains_are_refused(
    session: Session, browser: FlaskClient, set_limits: SetLimits, dns: DnsServer
) -> None:
    for name, text in (
        ("", "such as example.com"),
        ("shop", "such as example.com"),
        ("shop example.com", "such as example.com"),
        ("a" * 64 + ".example", "such as example.com"),
        ("gmail.com", "belongs to a mail provider"),
        ("mail.ru", "belongs to a mail provider"),
    ):
        assert text in error_beside(browser.post("/domains/new", data={"name": name}), "name"), name
    browser.post("/domains/new", data={"name": "shop.example"})
    again = browser.post("/domains/new", data={"name": "shop.example"})
    assert "already added" in error_beside(again, "name")
    set_limits(domains=1)
    full = browser.post("/domains/new", data={"name": "other.example"})
    assert "up to 1 domains" in error_beside(full, "name")
    assert session.scalars(select(SendingDomain.name)).all() == ["shop.example"]


def test_domains_are_checked_when_it_is_time(app: Flask, session: Session, user: User) -> None:
    now = utcnow()

    def add(name: str, **values: object) -> int:
        added = SendingDomain(owner_id=user.id, name=name, token="t", **{"created_at": now, **values})
        session.add(added)
        session.flush()
        return added.id

    unseen = add("a.example")
    asked = add("b.example", checked_at=now, check_requested_at=now)
    hour = timedelta(hours=1)
    new = add("c.example", checked_at=now - hour)
    add("d.example", checked_at=now - hour, created_at=now - timedelta(days=4))
    add("e.example", checked_at=now - hour, verified_at=now)
    old = add("f.example", checked_at=now - 25 * hour, verified_at=now)
    with app.app_context():
        assert find_due_domains(now) == [unseen, old, new, asked]
        db.session.rollback()
