"""Test what a report says about clicks: their share, the most followed links, and the hours."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from alembic.script import ScriptDirectory
from bs4 import Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from skymailing.db.migrations import DIRECTORY
from skymailing.models import DeliveryState, ReportDay, Run, RunLink, User
from skymailing.reports import daily_rollup
from tests.mailings.pages import soup
from tests.support.factories import MailingFactory, count_changes, create_run

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WEEK = "since=2026-11-16&until=2026-11-22"


def send(user: User, sent: int, clicked: int = 0, at: datetime = START, **columns: object) -> Run:
    """Create a run of a mailing that counts clicks, unless `columns` say something else."""
    columns = {"track_clicks": True, **columns}
    mailing = MailingFactory.create(owner=user, **columns)
    run = create_run(
        mailing, {DeliveryState.SENT: sent}, scheduled_for=at, track_clicks=columns["track_clicks"]
    )
    with count_changes(run) as changes:
        changes.add("clicked", clicked, at)
    return run


def read(browser: FlaskClient, query: str = WEEK) -> Tag:
    return soup(browser.get(f"/reports/?{query}"))


def read_clicks(browser: FlaskClient, query: str = WEEK) -> Tag:
    """Return the page whose links and hours the report loads."""
    return soup(browser.get(f"/reports/clicks?{query}"))


def read_tile(browser: FlaskClient, label: str, query: str = WEEK) -> str:
    tiles = read(browser, query).select("#totals .headlines > div")
    texts = [" ".join(tile.get_text(" ").split()) for tile in tiles]
    (found,) = [words.removeprefix(label).strip() for words in texts if words.startswith(label)]
    return found


def list_cells(browser: FlaskClient, query: str = WEEK) -> list[list[str]]:
    rows = read(browser, query).select("#mailings tbody tr")
    return [[" ".join(cell.get_text(" ").split()) for cell in row.select("td")] for row in rows]


def test_the_share_of_clicks_leaves_out_mailings_that_count_none(browser: FlaskClient, user: User) -> None:
    run = send(user, 10, 2)
    send(user, 30, track_clicks=False)
    send(user, 40)
    with count_changes(run) as changes:
        changes.add("returned", 2, START)
    assert read_tile(browser, "Clicked") == "2 4.2%"
    assert "share of the 48 delivered emails with click counting" in read(browser).get_text()
    assert list_cells(browser) == [
        ["40 100%", "0", "0 0%"],
        ["30 100%", "0", "–"],
        ["8 80%", "2", "2 25%"],
    ]
    days = read(browser).select("#days tbody tr:not([hidden])")
    assert [day.select("td")[-1].get_text(strip=True) for day in days] == ["2"], (
        "clicks may be in older letters"
    )
    one = f"{WEEK}&mailing={run.mailing_id}"
    assert read_tile(browser, "Clicked", one) == "2 25%"


@pytest.mark.one_engine
def test_the_pages_of_a_report_say_what_they_are_about(browser: FlaskClient, user: User) -> None:
    run = send(user, 30, 25, name="Осень")

    def read_lead(page: str, query: str) -> str:
        (lead,) = soup(browser.get(f"/reports/{page}?{query}")).select(".page-lead")
        return " ".join(lead.get_text().split())

    for page in ("", "clicks"):
        assert read_lead(page, WEEK) == "All mailings · 16 Nov 2026 – 22 Nov 2026"
        assert read_lead(page, f"{WEEK}&mailing={run.mailing_id}") == "Осень · 16 Nov 2026 – 22 Nov 2026"
    assert read_lead("", "since=2026-11-20&until=2026-11-20") == "All mailings · 20 Nov 2026"


@pytest.mark.one_engine
def test_clicks_that_are_loaded_later_have_their_place(browser: FlaskClient, user: User) -> None:
    send(user, 30, 19)
    (place,) = read(browser).select("#clicks")
    assert place["data-hx-get"] == f"/reports/clicks?{WEEK}"
    assert [title.get_text() for title in place.select("h2")] == ["Most clicked links"]
    assert place.select_one("p.without-script a") is not None, "a link for browsers without scripts"
    send(user, 30, 1)
    (place,) = read(browser).select("#clicks")
    assert [title.get_text() for title in place.select("h2")] == ["Most clicked links", "When people click"]
    assert len(place.select(".loading-place")) == 2


def test_clicks_in_letters_of_earlier_days_have_no_share(browser: FlaskClient, user: User) -> None:
    run = send(user, 9, at=START - timedelta(days=7))
    send(user, 1)
    with count_changes(run) as changes:
        changes.add("clicked", 4, START)
    assert read_tile(browser, "Clicked").startswith("4 was 0")
    with count_changes(run) as changes:
        changes.add("clicked", -6, START)  # a gateway's
    assert "Clicked 0 0%" in " ".join(read(browser).select("#totals")[0].get_text(" ").split())


def test_a_day_that_is_added_up_keeps_its_letters_with_counted_clicks(
    app: Flask, browser: FlaskClient, user: User, session: Session
) -> None:
    send(user, 10, 2)
    send(user, 30, track_clicks=False)
    before = read_tile(browser, "Clicked")
    assert "share of the 10 delivered emails with click counting" in read(browser).get_text()
    with app.app_context():
        assert daily_rollup.roll_up_days(START + timedelta(days=2), seconds=60) == 1
    assert read_tile(browser, "Clicked") == before == "2 20%"
    assert "share of the 10 delivered emails with click counting" in read(browser).get_text()
    # An earlier version does not know the column, so its sums are not used.
    session.execute(update(ReportDay).values(tracked=None, clicked=5))
    session.commit()
    assert read_tile(browser, "Clicked") == before


def test_the_migration_counts_the_letters_of_days_that_are_already_added_up(
    app: Flask, user: User, session: Session
) -> None:
    run = send(user, 10, 2)
    with count_changes(run) as changes:
        changes.add("returned", 1, START)
    send(user, 30, track_clicks=False)
    with app.app_context():
        daily_rollup.roll_up_days(START + timedelta(days=2), seconds=60)
    rows = {row.mailing_id: row.tracked for row in session.query(ReportDay)}
    assert Counter(rows.values()) == {0: 1, 9: 2}
    session.execute(update(ReportDay).values(tracked=None))
    for statement in ScriptDirectory(str(DIRECTORY)).get_revision("0072").module.STATEMENTS:
        session.execute(text(statement))
    assert {row.mailing_id: row.tracked for row in session.query(ReportDay)} == rows
    session.rollback()


def test_the_most_followed_links_are_listed(browser: FlaskClient, user: User, session: Session) -> None:
    first, second = send(user, 10, 4), send(user, 10, 3)
    other = send(user, 10, 9, at=START - timedelta(days=30))
    foreign = send(MailingFactory.create().owner, 10, 9)
    for run, number, url, people in (
        *((first, 1, "https://shop.example/sale", 3), (first, 2, "https://shop.example/", 2)),
        *((second, 1, "https://shop.example/", 2), (second, 2, "https://shop.example/unread", 0)),
        *((other, 1, "https://shop.example/old", 9), (foreign, 1, "https://foreign.example/", 9)),
    ):
        label = "Sale" if "sale" in url else ""
        session.add(RunLink(run_id=run.id, number=number, url=url, label=label, people=people))
    session.commit()
    card = read(browser).select("#clicks")[0]
    rows = soup(browser.get(str(card["data-hx-get"]))).select("#clicks #links tbody tr")
    assert [row.get_text(" ", strip=True) for row in rows] == [
        "https://shop.example/ 4",
        "Sale https://shop.example/sale 3",
    ]
    rows = read_clicks(browser, f"{WEEK}&mailing={second.mailing_id}").select("#links tbody tr")
    assert [row.get_text(" ", strip=True) for row in rows] == ["https://shop.example/ 2"]


def test_first_clicks_are_shown_by_hour_in_the_users_time_zone(
    browser: FlaskClient, user: User, session: Session
) -> None:
    user.timezone = "Asia/Kathmandu"
    session.commit()
    run = send(user, 50)
    with count_changes(run) as changes:
        changes.add("clicked", 12, START)  # 17:45 in Kathmandu
        changes.add("clicked", 10, START + timedelta(minutes=15))
        changes.add("clicked", -2, START + timedelta(hours=5))
    hours = {
        row.select("th")[0].get_text(): int(str(row.select("td")[0]["data-value"]))
        for row in read_clicks(browser).select("#hours tbody tr")
    }
    assert len(hours) == 24
    assert {hour: people for hour, people in hours.items() if people} == {"17:00": 12, "18:00": 10}


@pytest.mark.one_engine
def test_a_few_clicks_say_nothing_about_hours(browser: FlaskClient, user: User) -> None:
    send(user, 50, 19)
    page = read_clicks(browser)
    assert not page.select("#click-hours")
    assert "No clicks to show" in page.get_text()
