"""Sending a mailing again to those who have not clicked."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Delivery,
    Mailing,
    MailingState,
    MailingVariant,
    Periodicity,
    Run,
    RunState,
    User,
)
from tests.mailings.pages import get_value, soup
from tests.security.object_factories import make_sender
from tests.support.factories import MailingFactory, MessageFactory, create_clients, create_run
from tests.support.sales import click
from tests.support.servers import SmtpServer

Work = Callable[[], None]
BUTTON = "Send again to those who have not clicked"


def send(browser: FlaskClient, user: User, work: Work, **values: object) -> Mailing:
    """Return a mailing to all clients that has been sent."""
    mailing: Mailing = MailingFactory.create(owner=user, name="Sale", **({"track_clicks": True} | values))
    browser.post(f"/mailings/{mailing.id}/start")
    work()
    return mailing


def test_the_draft_goes_to_those_who_have_not_clicked_when_it_is_sent(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    early, late, silent = create_clients(user, 3)
    mailing = send(browser, user, work)
    letters = {row.client_id: row for row in session.scalars(select(Delivery))}
    click(letters[early.id], utcnow())
    assert BUTTON in browser.get(f"/mailings/{mailing.id}").text

    page = browser.post(f"/mailings/{mailing.id}/follow-up")
    draft = session.scalars(select(Mailing).where(Mailing.id != mailing.id)).one()
    assert page.location == f"/mailings/{draft.id}/edit"
    assert (draft.name, draft.state) == ("Sale: reminder", MailingState.DRAFT)
    assert draft.message_id == mailing.message_id
    assert draft.starts_at >= utcnow() + timedelta(days=2, hours=23)
    form = browser.get(page.location)
    assert "have not clicked" in form.text
    assert get_value(form, "name") == "Sale: reminder"

    click(letters[late.id], utcnow())
    browser.post(f"/mailings/{draft.id}/start")
    work()
    assert smtp.per_address() == {early.email: 1, late.email: 1, silent.email: 2}


def test_pressing_the_button_twice_opens_the_same_draft(
    browser: FlaskClient, user: User, session: Session, work: Work
) -> None:
    create_clients(user, 1)
    mailing = send(browser, user, work)
    places = {browser.post(f"/mailings/{mailing.id}/follow-up").location for _number in range(2)}
    assert len(places) == 1
    assert len(session.scalars(select(Mailing)).all()) == 2


def test_the_reason_is_shown_if_the_sender_cannot_be_used_any_more(
    browser: FlaskClient, user: User, session: Session
) -> None:
    unconfirmed = make_sender(user)
    mailing = MailingFactory.create(
        owner=user, state=MailingState.FINISHED, track_clicks=True, sender=unconfirmed
    )
    create_run(mailing, {}, track_clicks=True, finished_at=utcnow())
    page = browser.post(f"/mailings/{mailing.id}/follow-up", follow_redirects=True)
    assert "This address is not confirmed." in page.text
    assert len(session.scalars(select(Mailing)).all()) == 1


def test_mailings_with_the_same_name_have_different_drafts(
    browser: FlaskClient, user: User, session: Session, work: Work
) -> None:
    create_clients(user, 1)
    mailings = [send(browser, user, work) for _number in range(2)]
    drafts = [browser.post(f"/mailings/{mailing.id}/follow-up").location for mailing in mailings]
    assert len(set(drafts)) == 2
    assert browser.post(f"/mailings/{mailings[1].id}/follow-up").location == drafts[1]


@pytest.mark.parametrize(
    ("mailing", "run"),
    [
        ({"state": MailingState.RUNNING}, {"state": RunState.SENDING, "finished_at": None}),
        ({"state": MailingState.CANCELLED}, {}),
        ({"periodicity": Periodicity.WEEKLY}, {}),
        ({"disabled_at": utcnow()}, {}),
        ({}, {"track_clicks": False}),
        ({}, {"details_removed_at": utcnow()}),
    ],
)
def test_it_is_not_offered_if_no_one_knows_who_clicked(
    browser: FlaskClient, user: User, session: Session, mailing: dict[str, object], run: dict[str, object]
) -> None:
    values = {"state": MailingState.FINISHED, "track_clicks": True} | mailing
    created = MailingFactory.create(owner=user, **values)
    create_run(created, {}, **({"track_clicks": True, "finished_at": utcnow()} | run))
    assert 'id="do-follow-up"' not in browser.get(f"/mailings/{created.id}").text
    page = browser.post(f"/mailings/{created.id}/follow-up", follow_redirects=True)
    assert "not known who has not clicked" in page.text
    assert len(session.scalars(select(Mailing)).all()) == 1


def test_the_page_of_clicks_offers_it(browser: FlaskClient, user: User, session: Session, work: Work) -> None:
    create_clients(user, 2)
    mailing = send(browser, user, work)
    click(session.scalars(select(Delivery).limit(1)).one(), utcnow())
    run = session.scalars(select(Run)).one()
    run.clicked = 1
    session.flush()
    form = soup(browser.get(f"/mailings/runs/{run.id}/clicks")).select_one(
        f'button[formaction="/mailings/{mailing.id}/follow-up"]'
    )
    assert form is not None


def test_after_a_test_the_draft_has_the_winners_message(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, track_clicks=True)
    better = MessageFactory.create(owner=user)
    mailing.sample_percent = 20
    session.add(MailingVariant(mailing_id=mailing.id, number=2, message_id=better.id, sender_name="Anna"))
    test = {"test_ends_at": utcnow(), "winner_by": "clicks", "winner": 2}
    create_run(mailing, {}, track_clicks=True, finished_at=utcnow(), **test)
    browser.post(f"/mailings/{mailing.id}/follow-up")
    draft = session.scalars(select(Mailing).where(Mailing.id != mailing.id)).one()
    assert (draft.message_id, draft.sender_name, draft.sample_percent) == (better.id, "Anna", 0)
