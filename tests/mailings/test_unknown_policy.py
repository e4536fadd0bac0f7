"""Test the form's setting for letters with unknown delivery."""

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Mailing, OnUnknown, User
from tests.mailings.pages import get_value, mailing_fields
from tests.support.factories import MailingFactory, MessageFactory


def test_a_new_mailing_holds_unknown_letters_and_the_form_shows_how_many_may_arrive_twice(
    app: Flask, browser: FlaskClient, user: User, session: Session
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user))
    form = browser.get("/mailings/new")
    assert get_value(form, "on_unknown") == "hold"
    letters = app.config["WORKERS"] * app.config["MAIL_MAX_DISTANT_CONNECTIONS"]
    assert f"up to {letters} emails may be unclear. If they are sent again" in form.text

    browser.post(
        "/mailings/new", data={name: value for name, value in fields.items() if name != "on_unknown"}
    )

    assert session.scalars(select(Mailing)).one().on_unknown is OnUnknown.HOLD


def test_an_existing_mailing_keeps_its_choice_for_unknown_letters(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user, on_unknown=OnUnknown.RESEND)

    assert get_value(browser.get(f"/mailings/{mailing.id}/edit"), "on_unknown") == "resend"
