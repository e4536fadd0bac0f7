"""Test the check of a mailing before it starts: “Will it arrive?”."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import true
from sqlalchemy.orm import Session

from skymailing.checkup.audience_checks import Crowd, Earlier, Sample
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import comparison, crowd
from skymailing.mailings.crowd import describe_crowd
from skymailing.mailings.values import MailingValues
from skymailing.models import Brand, DeliveryState, MessagePicture, Run, Sender, SendingDomain, User
from tests.mailings.pages import mailing_fields, soup
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    MessageFactory,
    create_clients,
    create_run,
)
from tests.support.sales import click

BODY = """We have baked new bread this week, with rye, seeds and honey. Come on Friday, before noon.

Clay Shop, 12 Baker Street, London"""


def list_codes(browser: FlaskClient, fields: dict[str, Any]) -> set[str]:
    """Return the codes of what the last step of the form says can be improved."""
    page = soup(browser.post("/mailings/preview", data=fields | {"step": "check"}))
    return {str(line["data-check"]) for line in page.select("#checkup [data-check]")}


@pytest.mark.one_engine
def test_a_good_letter_has_nothing_to_improve(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user)
    message = MessageFactory.create(owner=user, subject="Fresh bread", body=BODY)
    page = soup(browser.post("/mailings/preview", data=mailing_fields(message, step="check")))
    (section,) = page.select("#checkup")
    text = " ".join(section.get_text(" ").split())
    assert "Will it arrive?" in text
    assert "Nothing to improve" in text
    assert "12 checks passed" in text
    assert "Unsubscribe link" in text


@pytest.mark.one_engine
def test_the_check_belongs_to_the_last_step(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="BUY BREAD NOW")
    page = browser.post("/mailings/preview", data=mailing_fields(message, step="who"))
    assert not soup(page).select("#checkup")
    assert soup(browser.post("/mailings/new", data=mailing_fields(message, check="1"))).select("#checkup")


@pytest.mark.one_engine
def test_what_can_be_improved_leads_to_its_place(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user)
    message = MessageFactory.create(owner=user, subject="RE: BUY BREAD NOW", body="[x](https://bit.ly/a)")
    page = soup(browser.post("/mailings/preview", data=mailing_fields(message, step="check")))
    assert "4 things to improve" in page.get_text()
    lines = page.select("#checkup [data-check]")
    problems = [str(line["data-check"]) for line in lines if "is-problem" in line["class"]]
    assert problems == ["subject_is_new", "shorteners"]
    assert [str(line["data-check"]) for line in lines[:2]] == problems, "problems come first"
    links = {str(line["data-check"]): str(line.select("a")[0]["href"]) for line in lines}
    assert links["shorteners"] == f"/messages/{message.id}/edit"
    assert links["postal_address"] == "/brand/"
    assert all(browser.get(link).status_code == 200 for link in links.values())


@pytest.mark.one_engine
def test_a_change_of_the_message_brand_or_form_is_noticed(
    browser: FlaskClient, user: User, session: Session
) -> None:
    ClientFactory.create(owner=user)
    body = "Come to our shop: [www.shop.ru](https://www.shop.ru/)\n\nClay Shop, Brīvības 1, Riga"
    message = MessageFactory.create(owner=user, subject="BUY BREAD NOW", body=body)
    fields = mailing_fields(message)
    assert list_codes(browser, fields) == {"subject_case", "phrases", "postal_address"}
    counting = {"subject_case", "phrases", "postal_address", "counted_link_texts"}
    assert list_codes(browser, fields | {"track_clicks": "y"}) == counting
    session.add(Brand(owner_id=user.id, address="Clay Shop, Brīvības 1, Riga\nLatvia"))
    message.subject = "Fresh bread"
    session.commit()
    assert list_codes(browser, fields) == set()


@pytest.mark.one_engine
def test_heavy_pictures_are_found(browser: FlaskClient, user: User, session: Session) -> None:
    now, sizes = utcnow(), {"a.jpg": 1_500_000, "b.jpg": 1_500_000}
    for name, size in sizes.items():
        times = {"uploaded_at": now, "seen_at": now, "looked_at": now}
        session.add(MessagePicture(owner_id=user.id, name=name, size=size, **times))
    session.commit()
    pictures = [f"![Bread](https://mail.example/letter-pictures/{name})" for name in sizes]
    one = MessageFactory.create(owner=user, body=f"{BODY}\n\n{pictures[0]}")
    two = MessageFactory.create(owner=user, body=f"{BODY}\n\n{' '.join(pictures)}")
    assert list_codes(browser, mailing_fields(one)) == set()
    assert list_codes(browser, mailing_fields(two)) == {"pictures_weight"}


@pytest.mark.one_engine
def test_the_senders_domain_is_checked(browser: FlaskClient, user: User, session: Session) -> None:
    message = MessageFactory.create(owner=user, subject="Fresh bread", body=BODY)
    address = {"address": "anna@shop.example", "address_key": "anna@shop.example"}
    sender = Sender(owner_id=user.id, confirmed_at=utcnow(), **address)
    session.add(sender)
    session.commit()
    fields = mailing_fields(message, sender=str(sender.id))
    assert list_codes(browser, fields) == {"domain_is_known"}

    findings = {"signature": {"state": "found"}, "policy": {"state": "missing"}}
    domain = {"name": "shop.example", "token": "t", "verified_at": utcnow(), "is_signed": True}
    session.add(SendingDomain(owner_id=user.id, findings=findings, **domain))
    session.commit()
    assert list_codes(browser, fields) == {"signature", "policy"}, "there is no key yet"
    assert list_codes(browser, mailing_fields(message)) == set(), "the service's own address"


@pytest.mark.one_engine
def test_a_variant_is_checked_for_what_differs(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user)
    message = MessageFactory.create(owner=user, subject="Fresh bread!!!", body=BODY)
    test = {"variants": "2", "subject_b": "FRESH BREAD NOW!!!", "track_clicks": "y"}
    page = soup(browser.post("/mailings/preview", data=mailing_fields(message, step="check") | test))
    lines = [" ".join(line.get_text(" ").split()) for line in page.select("#checkup [data-check]")]
    assert len(lines) == 2
    assert lines[0].startswith("The subject has many exclamation marks")
    assert lines[1].startswith("Variant B: The subject is in capitals")


def add_past_run(user: User, days: int, sent: int = 6, failed: int = 0, **values: Any) -> Run:
    """Add a finished run to new clients, some days ago."""
    at = utcnow() - timedelta(days=days)
    mailing = MailingFactory.create(owner=user, track_clicks=True)
    counts = {DeliveryState.SENT: sent, DeliveryState.FAILED: failed}
    return create_run(
        mailing, counts, **{"scheduled_for": at, "started_at": at, "track_clicks": True} | values
    )


def describe(app: Flask, user: User) -> Crowd:
    with app.app_context():
        owner = db.session.get_one(User, user.id)
        return describe_crowd(owner, MailingValues(), [true()], 100, utcnow())


def test_the_history_of_an_owner_is_read(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MIN_PLANNED", 5)
    assert describe(app, user) == Crowd(100, Earlier(), None)
    add_past_run(user, 300, sent=9)
    last = add_past_run(user, 10, sent=6, failed=2, returned=1)
    add_past_run(user, 5, sent=2)  # too small
    found = describe(app, user)
    assert found.earlier == Earlier(2, 9, last.id, 8, 3)
    assert found.sample is None, "too few mailings to know who is used to them"


def test_a_sample_shows_who_had_no_letter_and_who_is_quiet(
    app: Flask, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MIN_PLANNED", 2)
    runs = [add_past_run(user, days, sent=2) for days in (300, 50, 40, 30, 20, 10)]  # to 12 clients
    long_ago = utcnow() - timedelta(days=400)
    regular = create_clients(user, 4, created_at=long_ago)
    for run in runs:
        letters = [DeliveryFactory.build(run=run, client=client) for client in regular]
        DeliveryFactory.insert(letters)
    click(letters[0], utcnow() - timedelta(days=5))
    create_clients(user, 3)
    ClientFactory.create()  # another owner's
    # Two clients had only the oldest letter, and three had none. The four regular ones got five letters in
    # half a year, and one of them clicked.
    assert describe(app, user).sample == Sample(19, 5, 3)


def test_the_sample_comes_from_all_parts_of_a_list(
    app: Flask, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MIN_PLANNED", 2)
    monkeypatch.setattr(crowd, "SAMPLED", 10)
    for days in (30, 20, 10):
        add_past_run(user, days, sent=20)
    create_clients(user, 60)
    sample = describe(app, user).sample
    assert sample is not None
    assert sample.clients == 10
    assert sample.forgotten == 5, "as in the whole list"


@pytest.mark.one_engine
def test_a_message_page_shows_the_checks_of_the_letter(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="FRESH BREAD NOW", body=BODY)
    page = soup(browser.get(f"/messages/{message.id}"))
    assert [str(line["data-check"]) for line in page.select("#checkup [data-check]")] == ["subject_case"]


@pytest.mark.one_engine
def test_the_editor_reports_what_filters_dislike(browser: FlaskClient, user: User) -> None:
    typed = {"subject": "FRESH BREAD NOW", "format": "markdown", "body": "[x](https://bit.ly/a)"}
    found = [
        finding["text"] for finding in browser.post("/messages/insight", data=typed).get_json()["findings"]
    ]
    assert len(found) == 2, "no advice about the address before the letter is written"
    assert "bit.ly hides where a link leads" in found[0]
    assert "The subject is in capitals" in found[1]
    assert "bit.ly hides" in browser.post("/messages/preview", data=typed).text
