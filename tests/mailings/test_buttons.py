"""Test the buttons on a mailing's page: pressing one twice is harmless, and rejections are explained."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    OutboxLetter,
    Periodicity,
    Run,
    User,
)
from tests.mailings.pages import get_main_text, mailing_fields
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_clients, create_run
from tests.support.servers import SmtpServer

# Python decides what a button does.
pytestmark = pytest.mark.one_engine

Work = Callable[[], None]


def get_state(mailing: Mailing, session: Session) -> MailingState:
    session.refresh(mailing)
    return mailing.state


@pytest.mark.both_engines
def test_start_sends_immediately(browser: FlaskClient, user: User, smtp: SmtpServer, work: Work) -> None:
    clients = create_clients(user, 3)
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user)))
    work()
    assert set(smtp.per_address()) == {client.email for client in clients}
    assert set(smtp.per_address().values()) == {1}


@pytest.mark.both_engines
def test_pressing_start_twice_sends_once(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    client = ClientFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user)
    for _ in range(2):
        response = browser.post(f"/mailings/{mailing.id}/start")
        assert response.location == f"/mailings/{mailing.id}"
    work()
    browser.post(f"/mailings/{mailing.id}/start")
    work()
    assert smtp.per_address() == {client.email: 1}
    assert get_state(mailing, session) is MailingState.FINISHED


def test_pressing_start_twice_sends_a_recurring_mailing_once(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    client = ClientFactory.create(owner=user)
    mailing = MailingFactory.create(
        owner=user, periodicity=Periodicity.DAILY, ends_at=utcnow() + timedelta(days=9)
    )
    for _ in range(2):
        browser.post(f"/mailings/{mailing.id}/start")
        work()
    assert smtp.per_address() == {client.email: 1}
    assert get_state(mailing, session) is MailingState.SCHEDULED

    session.execute(update(Run).values(started_at=utcnow() - timedelta(minutes=1)))
    browser.post(f"/mailings/{mailing.id}/start")
    work()
    assert smtp.per_address() == {client.email: 2}


def test_starting_a_running_mailing_reports_that_it_is_running(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    page = browser.post(f"/mailings/{mailing.id}/start", follow_redirects=True).text
    assert "The mailing is already running." in page
    assert "starts now" not in page


def test_pressing_pause_or_resume_twice_is_harmless(
    browser: FlaskClient, user: User, session: Session
) -> None:
    later = utcnow() + timedelta(hours=1)
    mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=later)
    for verb, state in [("pause", MailingState.PAUSED), ("resume", MailingState.SCHEDULED)]:
        for _ in range(2):
            assert browser.post(f"/mailings/{mailing.id}/{verb}").status_code == 302
            assert get_state(mailing, session) is state


def test_cancel_asks_for_confirmation(browser: FlaskClient, user: User, session: Session) -> None:
    later = utcnow() + timedelta(hours=1)
    mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=later)
    assert mailing.name in browser.get(f"/mailings/{mailing.id}/cancel").text
    assert get_state(mailing, session) is MailingState.SCHEDULED
    for _ in range(2):
        browser.post(f"/mailings/{mailing.id}/cancel")
        assert get_state(mailing, session) is MailingState.CANCELLED


def test_a_rejected_action_is_explained(browser: FlaskClient, user: User, session: Session) -> None:
    mailing = MailingFactory.create(owner=user, ends_at=utcnow() - timedelta(seconds=1))
    page = browser.post(f"/mailings/{mailing.id}/start", follow_redirects=True).text
    assert "This mailing has ended" in page
    assert get_state(mailing, session) is MailingState.DRAFT


@pytest.mark.both_engines
def test_failed_letters_are_resent_once(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {DeliveryState.FAILED: 2, DeliveryState.SENT: 1})
    page = browser.post(f"/mailings/{mailing.id}/resend-failed", follow_redirects=True)
    assert "2 emails will be sent again" in page.text
    work()
    assert (
        "Nothing to resend"
        in browser.post(f"/mailings/{mailing.id}/resend-failed", follow_redirects=True).text
    )
    assert len(smtp.letters) == 2
    assert set(session.scalars(select(Delivery.state))) == {DeliveryState.SENT}


def test_a_test_letter_goes_only_to_the_owner(browser: FlaskClient, user: User, session: Session) -> None:
    create_clients(user, 2)
    mailing = MailingFactory.create(owner=user)
    page = browser.post(f"/mailings/{mailing.id}/test", follow_redirects=True)
    assert user.email in get_main_text(page)
    letter = session.scalars(select(OutboxLetter)).one()
    assert (letter.to, letter.template) == (user.email, "test-letter")
    content = {"message_id": mailing.message_id, "client_id": None}
    assert letter.params == content | {"sender_id": None, "sender_name": "", "subject": "", "mark": ""}


def test_an_owner_cannot_act_on_a_disabled_mailing(
    browser: FlaskClient, user: User, session: Session
) -> None:
    create_clients(user, 1)
    mailing = MailingFactory.create(owner=user, disabled_at=utcnow(), disabled_reason="complaints")
    page = browser.post(f"/mailings/{mailing.id}/start", follow_redirects=True)
    assert "complaints" in page.text
    fields = mailing_fields(mailing.message, name="Renamed")
    assert "manager has disabled" in browser.post(f"/mailings/{mailing.id}/edit", data=fields).text
    session.refresh(mailing)
    assert (mailing.state, mailing.name != "Renamed") == (MailingState.DRAFT, True)
