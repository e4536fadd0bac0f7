"""Test a mailing's choice of what is recorded, and the pages that show clicks to the owner."""

import csv
import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import Delivery, DeliveryState, Mailing, OpenTracking, Run, RunLink, User
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import TRACKING_IMAGE, NotedHit, note
from skymailing.tracking.machines import Visitor
from tests.mailings.pages import get_main_text, get_value, mailing_fields, soup
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_run

pytestmark = pytest.mark.one_engine


@pytest.fixture
def run(app: Flask, session: Session, user: User) -> Run:
    """Return a run of three letters; two people clicked and one opened."""
    run = create_run(
        MailingFactory.create(owner=user),
        {DeliveryState.SENT: 3},
        track_clicks=True,
        track_opens=OpenTracking.DAY,
    )
    session.add(RunLink(run_id=run.id, number=1, url="https://shop.example/sale", label="=Sale"))
    session.add(RunLink(run_id=run.id, number=2, url="https://shop.example/new", label=""))
    session.flush()
    letters = session.scalars(
        select(Delivery.id).where(Delivery.run_id == run.id).order_by(Delivery.id)
    ).all()
    now = to_milliseconds(utcnow())
    hits = [(letters[0], 1, 0), (letters[0], 2, 60_000), (letters[1], 1, 0), (letters[2], TRACKING_IMAGE, 0)]
    with app.app_context():
        for letter, number, later in hits:
            note(NotedHit(run.id, letter, number, now + later, Visitor.PERSON))
        note(NotedHit(run.id, letters[2], 1, now, Visitor.MACHINE))
        fold_hits(utcnow())
    session.expire_all()
    return run


def test_tracking_is_off_until_it_is_chosen_and_a_run_keeps_the_choice(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    ClientFactory.create(owner=user)
    message = MessageFactory.create(owner=user)
    form = soup(browser.get("/mailings/new"))
    assert not form.select_one("#track_clicks").has_attr("checked")  # type: ignore[union-attr]
    assert get_value(browser.get("/mailings/new"), "track_opens") == "off"
    fields = mailing_fields(message) | {"track_clicks": "y", "track_opens": "day"}
    assert browser.post("/mailings/new", data=fields).status_code == 302
    mailing = session.scalars(select(Mailing)).one()
    assert (mailing.track_clicks, mailing.track_opens) == (True, "day")
    with app.app_context():
        mailing.next_run_at = mailing.starts_at = utcnow()
        session.flush()
        run_id = plan.start_due_run(mailing.id, utcnow())
    run = session.get_one(Run, run_id)
    assert (run.track_clicks, run.track_opens) == (True, "day")
    assert soup(browser.get("/mailings/new")).select_one("#track_clicks").has_attr("checked")  # type: ignore[union-attr]


def test_an_owner_sees_who_clicked_which_link(run: Run, browser: FlaskClient) -> None:
    assert "Clicked 2 66.7%" in get_main_text(browser.get(f"/mailings/runs/{run.id}"))
    page = browser.get(f"/mailings/runs/{run.id}/clicks")
    shown = get_main_text(page)
    assert (
        "Clicked 2 66.7% of the delivered emails Opened (estimate) 1 Automatic clicks 1 not counted" in shown
    )
    rows = [row.get_text(" ", strip=True) for row in soup(page).select("#links tbody tr")]
    assert rows == ["=Sale https://shop.example/sale 2 100% 2", "https://shop.example/new 1 50% 1"]
    assert len(soup(page).select("#people tbody tr")) == 2
    one_link = browser.get(f"/mailings/runs/{run.id}/clicks?link=2")
    assert len(soup(one_link).select("#people tbody tr")) == 1
    assert browser.get(f"/mailings/runs/{run.id}/clicks?link=9").status_code == 404


def test_people_who_clicked_have_their_names_if_known(
    run: Run, browser: FlaskClient, session: Session
) -> None:
    letters = session.scalars(select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)).all()
    for letter, name in zip(letters[:2], ("Анна Петрова", ""), strict=True):
        letter.client_id = ClientFactory.create(owner=run.mailing.owner, full_name=name).id
    session.flush()
    page = soup(browser.get(f"/mailings/runs/{run.id}/clicks"))
    names = [[note.text for note in row.select(".quiet-note")] for row in page.select("#people tbody tr")]
    assert names == [["Анна Петрова"], []]


def test_clicks_can_be_downloaded(run: Run, browser: FlaskClient) -> None:
    rows = list(
        csv.reader(io.StringIO(browser.get(f"/mailings/runs/{run.id}/clicks.csv").text.lstrip("\ufeff")))
    )
    assert rows[0] == ["email", "link", "url", "first_click", "clicks"]
    assert [(row[1], row[2], row[4]) for row in rows[1:]] == [
        ("1", "https://shop.example/sale", "1"),
        ("2", "https://shop.example/new", "1"),
        ("1", "https://shop.example/sale", "1"),
    ]


def test_reports_count_people_who_clicked(run: Run, browser: FlaskClient) -> None:
    assert "Clicked 2" in get_main_text(browser.get("/reports/"))


def test_a_run_without_tracking_has_no_page_of_clicks(user: User, browser: FlaskClient) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 1})
    assert browser.get(f"/mailings/runs/{run.id}/clicks").status_code == 404
