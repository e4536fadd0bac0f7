"""Test mailings from an owner's own address: the form, the run's copy, the letters, and what stops them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.send import send_slice
from skymailing.extensions import db
from skymailing.mailings import deletion, services
from skymailing.mailings.errors import MailingError
from skymailing.models import Mailing, MailingState, Run, Sender, StateReason, User
from tests.mailings.pages import get_field_error, get_main_text, get_value, mailing_fields
from tests.support.factories import (
    ClientFactory,
    MailingFactory,
    MessageFactory,
    UserFactory,
    create_clients,
    due_mailing,
)
from tests.support.servers import SmtpServer
from tests.support.statements import record_statements

Work = Callable[[], None]


def make_sender(
    session: Session, owner: User, address: str = "Hello@shop.example", **values: object
) -> Sender:
    defaults = {"name": "Shop", "reply_to": "owner@gmail.com", "confirmed_at": utcnow()}
    sender = Sender(owner_id=owner.id, address=address, address_key=address.lower(), **defaults | values)
    session.add(sender)
    session.flush()
    return sender


@pytest.fixture
def sender(session: Session, user: User) -> Sender:
    return make_sender(session, user)


def test_a_run_keeps_the_sender_that_it_was_planned_with(
    app: Flask, session: Session, user: User, sender: Sender, smtp: SmtpServer
) -> None:
    ClientFactory.create(owner=user)
    mailing = due_mailing(user, sender_id=sender.id)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id is not None
        sender.name, sender.address, sender.address_key = "Other", "x@other.example", "x@other.example"
        sender.reply_to, sender.confirmed_at = "", None
        session.flush()
        send_slice(run_id, lambda _elapsed: False)
    (letter,) = smtp.letters
    assert letter.sender == "letters@sky.example", "SPF is checked for the envelope"
    assert letter.parsed["From"] == "Shop <Hello@shop.example>"
    assert letter.parsed["Reply-To"] == "owner@gmail.com"
    assert letter.parsed["Message-ID"].endswith("@shop.example>")
    assert letter.parsed["List-Id"] == f"<mailing-{mailing.id}.sky.example>"


@pytest.mark.parametrize(
    ("names", "reply_to", "expected"),
    [
        (("", "Shop"), "", ("Shop", "hello@shop.example", "hello@shop.example")),
        (("Sale", "Shop"), "a@b.example", ("Sale", "hello@shop.example", "a@b.example")),
        (("", ""), "", ("Owner", "hello@shop.example", "hello@shop.example")),
        (("", None), "", ("Owner", "", "account@sky.example")),
    ],
)
def test_names_and_replies_fall_back_to_the_account(
    app: Flask,
    session: Session,
    names: tuple[str, str | None],
    reply_to: str,
    expected: tuple[str, str, str],
) -> None:
    owner = UserFactory.create(name="Owner", email="account@sky.example")
    ClientFactory.create(owner=owner)
    mailing_name, name = names
    own = (
        make_sender(session, owner, "hello@shop.example", name=name, reply_to=reply_to)
        if name is not None
        else None
    )
    mailing = due_mailing(owner, sender_id=own and own.id, sender_name=mailing_name)
    with app.app_context():
        run = db.session.get_one(Run, plan.start_due_run(mailing.id, utcnow()))
        assert (run.sender_name, run.sender_address, run.reply_to) == expected


def test_a_mailing_with_an_unconfirmed_sender_is_paused_and_sent_from_no_other_address(
    app: Flask, session: Session, user: User, sender: Sender, browser: FlaskClient
) -> None:
    ClientFactory.create(owner=user)
    sender.confirmed_at = None
    mailing = due_mailing(user, sender_id=sender.id)
    with app.app_context():
        assert plan.start_due_run(mailing.id, utcnow()) is None
    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason == f"{StateReason.SENDER_UNUSABLE}: Hello@shop.example"
    shown = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert "is not confirmed or cannot be used, so nothing was sent: Hello@shop.example" in shown
    draft = MailingFactory.create(owner=user, sender_id=sender.id)
    response = browser.post(f"/mailings/{draft.id}/start", follow_redirects=True)
    assert "This address is not confirmed" in response.text
    assert (
        "This address is not confirmed"
        in browser.post(f"/mailings/{draft.id}/test", follow_redirects=True).text
    )
    sender.confirmed_at = utcnow()
    session.flush()
    browser.post(f"/mailings/{mailing.id}/resume")
    with app.app_context():
        assert plan.start_due_run(mailing.id, utcnow()) is not None


@pytest.mark.one_engine
def test_the_form_offers_confirmed_senders(
    session: Session, user: User, browser: FlaskClient, sender: Sender
) -> None:
    message = MessageFactory.create(owner=user)
    waiting = make_sender(session, user, "later@shop.example", confirmed_at=None)
    foreign = make_sender(session, UserFactory.create(), "foreign@shop.example")
    page = browser.get("/mailings/new")
    assert "Shop &lt;Hello@shop.example&gt;" in page.text
    assert "later@shop.example" not in page.text
    assert get_value(page, "sender") == "0"
    sender.is_default = True
    session.flush()
    page = browser.get("/mailings/new")
    assert (get_value(page, "sender"), get_value(page, "sender_name")) == (str(sender.id), "")
    fields = mailing_fields(message, sender=str(sender.id), sender_name="")
    assert "from Shop &lt;Hello@shop.example&gt;" in browser.post("/mailings/preview", data=fields).text
    browser.post("/mailings/new", data=fields)
    mailing = session.scalars(select(Mailing)).one()
    assert mailing.sender_id == sender.id
    path = f"/mailings/{mailing.id}/edit"
    assert "Shop <Hello@shop.example>" in get_main_text(browser.get(f"/mailings/{mailing.id}"))
    for chosen, text in ((waiting, "not confirmed"), (foreign, "does not exist")):
        assert text in get_field_error(browser.post(path, data=fields | {"sender": str(chosen.id)}), "sender")
    sender.confirmed_at = None
    session.flush()
    page = browser.get(path)
    assert "(not confirmed)" in page.text
    assert get_value(page, "sender") == str(sender.id), "saving does not silently choose another address"
    browser.post(path, data=fields | {"sender": "0", "sender_name": "Me"})
    session.refresh(mailing)
    assert mailing.sender_id is None
    assert mailing.sender_name == "Me"


@pytest.mark.one_engine
def test_test_letters_and_previews_show_the_sender(
    session: Session, user: User, browser: FlaskClient, sender: Sender, smtp: SmtpServer, work: Work
) -> None:
    message = MessageFactory.create(owner=user, body="{{ sender_name }}")
    mailing = MailingFactory.create(owner=user, message=message, sender_id=sender.id, sender_name="Sale")
    browser.post(f"/mailings/{mailing.id}/test")
    browser.post(f"/messages/{message.id}/test")
    work()
    froms = [letter.parsed["From"] for letter in smtp.letters]
    assert froms[0] == "Sale <Hello@shop.example>"
    assert "letters@sky.example" in froms[1]
    sender.is_default = True
    session.flush()
    browser.post(f"/messages/{message.id}/test")
    fields = mailing_fields(message, sender=str(sender.id), sender_name="Draft", check="test")
    browser.post("/mailings/new", data=fields)
    work()
    froms = [letter.parsed["From"] for letter in smtp.letters[2:]]
    assert froms == ["Shop <Hello@shop.example>", "Draft <Hello@shop.example>"]
    assert {letter.sender for letter in smtp.letters} == {"letters@sky.example"}
    assert "Shop <Hello@shop.example>" in get_main_text(browser.get(f"/messages/{message.id}"))
    browser.post(f"/mailings/{mailing.id}/test")
    sender.confirmed_at = None  # after the request, before the letter
    session.flush()
    work()
    assert len(smtp.letters) == 4, "a test letter never comes from an address that is not confirmed"


def test_a_deleted_mailing_is_restored_only_with_its_sender(
    app: Flask, session: Session, user: User, sender: Sender
) -> None:
    ids = [MailingFactory.create(owner=user, sender_id=sender.id).id for _ in range(2)]
    now, actor = utcnow(), Actor(None, "operator")
    with app.app_context():
        removals = [deletion.delete_mailing(db.session.get_one(Mailing, id), now, actor) for id in ids]
        db.session.flush()
        restored = deletion.restore_mailing(user.id, removals[0].id, now, actor)
        assert restored is not None
        assert restored.sender_id == sender.id
        services.cancel_mailing(restored, now)
        restored.sender_id = None
        db.session.flush()
        db.session.delete(db.session.get_one(Sender, sender.id))
        db.session.flush()
        with pytest.raises(MailingError, match="mailing_sender_deleted"):
            deletion.restore_mailing(user.id, removals[1].id, now + timedelta(minutes=1), actor)
        db.session.rollback()
    session.expire_all()


@pytest.mark.one_engine
def test_a_sender_needs_no_query_per_letter(
    app: Flask, session: Session, user: User, sender: Sender, smtp: SmtpServer
) -> None:
    create_clients(user, 5)
    counts = []
    for sender_id in (None, None, sender.id):  # the first run connects
        mailing = due_mailing(user, sender_id=sender_id)
        with app.app_context():
            run_id = plan.start_due_run(mailing.id, utcnow())
            assert run_id is not None
            with record_statements() as statements:
                send_slice(run_id, lambda _elapsed: False)
        counts.append(len(statements))
    assert len(smtp.letters) == 15
    assert counts[2] - counts[1] <= 2, "the key that signs is looked up once per run"
