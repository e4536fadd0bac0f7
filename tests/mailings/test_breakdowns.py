"""Test the results of a run by mailbox provider, and by segment and tag."""

import csv
import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from skymailing.clients.opt_outs import find_undoable, opt_out, undo
from skymailing.clock import utcnow
from skymailing.delivery.ledger.later_counts import add_later_counts
from skymailing.extensions import db
from skymailing.mailings import breakdowns
from skymailing.models import (
    Bounce,
    BounceKind,
    Client,
    Delivery,
    DeliveryState,
    Engagement,
    Proof,
    Run,
    Tag,
    User,
    client_tags,
)
from skymailing.returns.consequences import act
from tests.mailings.breakdown_pages import path_of, read_table
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import MailingFactory, create_run, create_tested_run

DOMAINS = ("mail.example",) * 4 + ("small.example",) * 2
COLUMNS = ("sent", "unsent", "returned", "complaints", "unsubscribed", "clicked", "opened")


@pytest.fixture
def run(session: Session, user: User) -> Run:
    """Return a run of five sent letters and a failed one."""
    counts = {DeliveryState.SENT: 5, DeliveryState.FAILED: 1}
    run = create_run(MailingFactory.create(owner=user, name="Sale"), counts, track_clicks=True)
    for number, (letter, domain) in enumerate(zip(list_letters(session, run), DOMAINS, strict=True)):
        letter.email = letter.email_key = f"p{number}@{domain}"
        client = session.get_one(Client, letter.client_id)
        client.email = client.email_key = letter.email_key
    session.flush()
    return run


def list_letters(session: Session, run: Run) -> list[Delivery]:
    return list(session.scalars(select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)))


def click(session: Session, run: Run, *letters: Delivery) -> None:
    for letter in letters:
        about = {"run_id": run.id, "mailing_id": run.mailing_id}
        session.add(Engagement(delivery_id=letter.id, clicks=2, first_click_at=1, **about))
    run.clicked += len(letters)
    session.flush()


def bounce(
    app: Flask, letter: Delivery, owner: User, *kinds: BounceKind, proof: Proof = Proof.SIGNED
) -> None:
    """Record that a letter was returned or reported, as the reader of returned mail does."""
    about = {"delivery_id": letter.id, "run_id": letter.run_id, "mailing_id": letter.run.mailing_id}
    with app.app_context():
        for kind in kinds:
            found = Bounce(owner_id=owner.id, email_key=letter.email_key, kind=kind, proof=proof, **about)
            found.received_at = utcnow()
            db.session.add(found)
            db.session.flush()
            act([found] if proof is Proof.SIGNED else [], [], utcnow())
        db.session.commit()


def tag(session: Session, user: User, name: str, *letters: Delivery) -> Tag:
    created = Tag(owner_id=user.id, name=name, name_key=name.lower())
    session.add(created)
    session.flush()
    for letter in letters:
        session.execute(insert(client_tags).values(tag_id=created.id, client_id=letter.client_id))
    return created


def test_each_mailbox_provider_has_all_numbers_with_their_shares(
    app: Flask, session: Session, user: User, run: Run, browser: FlaskClient
) -> None:
    run.track_opens = "day"
    letters = list_letters(session, run)
    click(session, run, letters[0], letters[1])
    session.get_one(Engagement, letters[0].id).opened_on = utcnow().date()
    session.flush()
    # Returned twice, which counts once; complained; and a bounce that anyone could have written.
    bounce(app, letters[2], user, BounceKind.SOFT, BounceKind.HARD)
    bounce(app, letters[3], user, BounceKind.COMPLAINT)
    bounce(app, letters[4], user, BounceKind.HARD, proof=Proof.ADDRESS)
    session.refresh(run)
    assert read_table(soup(browser.get(path_of(run))), "domain") == {
        "mail.example": {
            "Delivered": "3 75%",
            "Not delivered": "1 25%",
            "Clicked": "2 66.7%",
            "Opened (estimate)": "1 33.3%",
            "Spam complaints": "1 33.3%",
        },
        "small.example": {
            "Delivered": "1 50%",
            "Not delivered": "1 50%",
            "Clicked": "–",
            "Opened (estimate)": "–",
            "Spam complaints": "–",
        },
    }


def test_only_numbers_that_occur_have_a_column(user: User, browser: FlaskClient) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 2}, track_clicks=True)
    (row,) = read_table(soup(browser.get(path_of(run))), "domain").values()
    assert row == {"Delivered": "2 100%"}


def test_emails_that_were_not_sent_do_not_lower_the_share_of_the_delivered(
    session: Session, user: User, browser: FlaskClient
) -> None:
    counts = {DeliveryState.SENT: 3, DeliveryState.UNKNOWN: 1, DeliveryState.CANCELLED: 4}
    run = create_run(MailingFactory.create(owner=user), counts)
    for letter in list_letters(session, run):
        letter.email_key = f"p{letter.id}@mail.example"
    session.flush()
    page = soup(browser.get(path_of(run)))
    assert read_table(page, "domain") == {
        "mail.example": {"Delivered": "3 75%", "Unclear": "1 25%", "Not sent": "4 50%"}
    }
    (hour,) = read_table(page, "hour").values()
    assert hour == {"Delivered": "3", "Unclear": "1", "Not sent": "4"}


def test_those_who_unsubscribed_are_counted_until_they_undo_it(
    app: Flask, session: Session, user: User, run: Run, browser: FlaskClient
) -> None:
    letters = list_letters(session, run)
    with app.app_context():
        for letter in letters[:3]:
            opt_out(user.id, letter.email_key, None, utcnow())
        undone = find_undoable(user.id, letters[0].email_key, None, utcnow())
        assert undone is not None
        undo(user.id, letters[0].email_key, undone.id, utcnow())
        db.session.commit()
    session.refresh(run)
    session.delete(session.get_one(Client, letters[1].client_id))  # stays counted
    session.flush()
    shown = read_table(soup(browser.get(path_of(run))), "domain")
    assert [row["Unsubscribed"] for row in shown.values()] == ["2 50%", "–"]
    assert "unsubscribed by email" not in browser.get(path_of(run)).text
    with app.app_context():  # as for a letter that unsubscribes
        add_later_counts(db.session.connection(), {run.id: {"unsubscribed": 1}}, utcnow())
        db.session.commit()
    session.refresh(run)
    assert "1 more person unsubscribed by email." in get_main_text(browser.get(path_of(run)))


def test_mailbox_providers_after_the_first_ten_are_others(
    session: Session, user: User, browser: FlaskClient
) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 15}, track_clicks=True)
    letters = list_letters(session, run)
    for number, letter in enumerate(letters):
        letter.email = letter.email_key = f"p{number}@d{max(number - 1, 0):02}.example"
    click(session, run, letters[0], letters[-1])
    shown = read_table(soup(browser.get(path_of(run))), "domain")
    assert list(shown) == [*(f"d{number:02}.example" for number in range(10)), "Others"]
    assert shown["d00.example"] == {"Delivered": "2 100%", "Clicked": "1 50%"}
    assert shown["Others"] == {"Delivered": "4 100%", "Clicked": "1 25%"}
    rows = list(csv.reader(io.StringIO(browser.get(path_of(run, ".csv")).text.lstrip("\ufeff"))))
    assert len([row for row in rows if row[0] == "domain"]) == 14


def test_results_are_shown_for_the_segments_and_tags_of_the_audience(
    session: Session, user: User, run: Run, browser: FlaskClient
) -> None:
    letters = list_letters(session, run)
    omsk = tag(session, user, "Omsk", *letters[:3])
    for letter in letters[2:6]:
        session.get_one(Client, letter.client_id).comment = "wholesale"
    is_wholesale = {"field": "comment", "op": "is_set"}
    run.audience = {
        "audience": "segments",
        "include": [
            {"tag": omsk.id, "name": "Omsk"},
            {"segment": 1, "name": "Wholesale", "conditions": is_wholesale},
            {"tag": omsk.id, "name": "Deleted"},
            {"segment": 2, "name": "Broken", "conditions": is_wholesale | {"field": "no such field"}},
        ],
    }
    click(session, run, *letters[:4])
    page = soup(browser.get(path_of(run)))
    assert read_table(page, "part") == {
        "Omsk": {"Delivered": "3 100%", "Not delivered": "–", "Clicked": "3 100%"},
        "Wholesale": {"Delivered": "3 75%", "Not delivered": "1 25%", "Clicked": "2 66.7%"},
    }


def test_a_run_for_everyone_is_broken_down_by_all_tags(
    session: Session, user: User, run: Run, browser: FlaskClient
) -> None:
    letters = list_letters(session, run)
    tag(session, user, "Omsk", letters[0])
    tag(session, user, "Tomsk", *letters[1:3])
    tag(session, user, "Unused")
    click(session, run, letters[0])
    assert read_table(soup(browser.get(path_of(run))), "part") == {
        "Tomsk": {"Delivered": "2 100%", "Clicked": "–"},
        "Omsk": {"Delivered": "1 100%", "Clicked": "1 100%"},
    }


def test_a_variant_has_its_own_results_and_they_add_up(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    run = create_tested_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 5}, track_clicks=True)
    run.winner = 2
    letters = list_letters(session, run)
    for letter, variant in zip(letters, (1, 1, 2, 2), strict=False):  # the last one is outside the sample
        letter.variant = variant
    click(session, run, letters[0], letters[4])
    bounce(app, letters[1], user, BounceKind.HARD)
    with app.app_context():
        opt_out(user.id, letters[4].email_key, None, utcnow())
        db.session.commit()
    session.refresh(run)
    numbers = ("Delivered", "Not delivered", "Unsubscribed", "Clicked")
    for query, expected in (
        ("", ["4 80%", "1 20%", "1 25%", "2 50%"]),
        ("?variant=1", ["1 50%", "1 50%", None, "1 100%"]),
        ("?variant=2", ["3 100%", None, "1 33.3%", "1 33.3%"]),
    ):
        page = soup(browser.get(path_of(run) + query))
        (row,) = read_table(page, "domain").values()
        assert [row.get(name) for name in numbers] == expected, query
        assert bool(page.select("#by-hour")) == (not query)
    assert browser.get(path_of(run) + "?variant=3").status_code == 404


def test_hours_are_kept_when_the_details_are_removed(
    session: Session, run: Run, browser: FlaskClient
) -> None:
    run.details_removed_at = utcnow()
    session.flush()
    page = soup(browser.get(path_of(run)))
    assert page.select("#details-removed")
    assert not page.select("#by-domain")
    (row,) = read_table(page, "hour").values()
    assert row == {"Delivered": "5", "Not delivered": "1"}


def test_numbers_that_take_too_long_are_left_out(
    run: Run, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakdowns, "SECONDS", -1.0)
    response = browser.get(path_of(run))
    assert "There are too many emails to count right now." in get_main_text(response)
    assert not soup(response).select("#by-domain")
    assert soup(response).select("#by-hour")


def test_the_file_has_the_same_numbers(session: Session, run: Run, browser: FlaskClient) -> None:
    letters = list_letters(session, run)
    click(session, run, letters[4])
    response = browser.get(path_of(run, ".csv"))
    header, *rows = csv.reader(io.StringIO(response.text.lstrip("\ufeff")))
    assert header == ["by", "name", *COLUMNS]
    assert rows[:2] == [
        ["domain", "mail.example", "4", "0", "0", "0", "0", "0", "0"],
        ["domain", "small.example", "1", "1", "0", "0", "0", "1", "0"],
    ]
    assert rows[2][0] == "hour"
    assert rows[2][1].endswith(":00:00.000Z")


@pytest.mark.one_engine
def test_pages_of_a_run_load_its_results_when_they_are_scrolled_to(run: Run, browser: FlaskClient) -> None:
    for path in (
        f"/mailings/runs/{run.id}",
        f"/mailings/{run.mailing_id}",
        f"/mailings/runs/{run.id}/clicks",
    ):
        page = soup(browser.get(path))
        (place,) = page.select("#breakdowns")
        # On phones, the place is folded, and loaded when it is opened.
        trigger = "revealed, toggle from:closest details"
        assert (place["data-hx-get"], place["data-hx-trigger"]) == (path_of(run), trigger)
        assert place.parent is not None
        assert place.parent.select_one("summary")
        assert place.select_one("a[href]")["href"] == path_of(run)  # type: ignore[index]
        assert page.select('script[src*="htmx"]')
    assert soup(browser.get(path_of(run))).select("#breakdowns #by-domain")
