"""Test the choice whether opens are counted, on the preference page."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.open_choice import is_allowed
from skymailing.models import (
    Consent,
    ConsentKind,
    ConsentPurpose,
    Delivery,
    OpenTracking,
    SuppressionReason,
    User,
)
from skymailing.tokens import unsubscribe_token
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import (
    MailingFactory,
    SuppressionFactory,
)
from tests.tracking.opens import Choose, Open, client_of, read_opens


@pytest.fixture
def path(app: Flask, user: User, letters: list[Delivery]) -> str:
    """Return the path of the preference page of the first letter's recipient."""
    with app.app_context():
        return f"/p/{unsubscribe_token(user.id, letters[0].email_key)}"


def send_form(visitor: FlaskClient, path: str, **fields: str) -> str:
    return get_main_text(visitor.post(path, data=fields, headers={"Accept-Language": "en"}))


def test_people_agree_and_withdraw_on_the_preference_page(
    session: Session, user: User, letters: list[Delivery], open_letter: Open, visitor: FlaskClient, path: str
) -> None:
    page = visitor.get(path, headers={"Accept-Language": "en"})
    (box,) = soup(page).select("input[type=checkbox][name=opens]")
    assert not box.has_attr("checked"), "never ticked in advance"
    assert "You may record whether I open these emails." in get_main_text(page)
    assert "Saved." in send_form(visitor, path, allowed_opens="", opens="y")
    send_form(visitor, path, allowed_opens="", opens="y")  # a second click
    given = session.scalars(select(Consent)).one()
    assert (given.kind, given.purpose) == (ConsentKind.CONFIRMED, ConsentPurpose.TRACKING)
    assert (given.text and given.text.text, given.ip) == (
        "You may record whether I open these emails.",
        "127.0.0.1",
    )
    open_letter(letters[0])
    assert read_opens(session) == {letters[0].id: (1, 0)}
    send_form(visitor, path, allowed_opens="y", opens="y")
    assert len(session.scalars(select(Consent)).all()) == 1
    send_form(visitor, path, allowed_opens="y")
    assert [row.kind for row in session.scalars(select(Consent).order_by(Consent.id))] == [
        "confirmed",
        "withdrawn",
    ]
    assert read_opens(session) == {}


def test_a_page_that_did_not_show_the_box_changes_nothing(
    session: Session, user: User, visitor: FlaskClient, path: str
) -> None:
    send_form(visitor, path, opens="y")
    assert session.scalars(select(Consent)).all() == []


@pytest.mark.one_engine
def test_unsubscribed_people_can_still_withdraw(
    app: Flask,
    session: Session,
    user: User,
    letters: list[Delivery],
    choose: Choose,
    visitor: FlaskClient,
    path: str,
) -> None:
    choose(client_of(session, letters[0]))
    key = letters[0].email_key
    SuppressionFactory.create(owner_id=user.id, email_key=key, reason=SuppressionReason.UNSUBSCRIBED)
    page = visitor.get(path, headers={"Accept-Language": "en"})
    assert soup(page).select_one("input[name=opens][checked]")
    send_form(visitor, path, allowed_opens="y")
    with app.app_context():
        assert not is_allowed(user.id, key)


@pytest.mark.one_engine
def test_the_page_asks_only_if_the_owner_counts_opens_per_person(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    mailing = MailingFactory.create(track_clicks=True, track_opens=OpenTracking.DAY)
    with app.app_context():
        token = unsubscribe_token(mailing.owner_id, "anna@example.org")
    page = visitor.get(f"/p/{token}", headers={"Accept-Language": "en"})
    assert not soup(page).select("input[name=opens]")
    assert "records who clicks the links in emails, and the day" in get_main_text(page)
    assert soup(page).select_one('main a[href="/privacy"]')
