"""Test the rates of sends in a report."""

from datetime import UTC, datetime, timedelta

import pytest
from bs4 import Tag
from flask.testing import FlaskClient

from skymailing.models import DeliveryState, MailingKind, Run, RunState, User
from tests.mailings.pages import soup
from tests.support.factories import MailingFactory, create_run
from tests.support.statements import record_statements

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WEEK = "since=2026-11-16&until=2026-11-22"


def send(user: User, sent: int, failed: int = 0, clicked: int = 0, hours: int = 0, **columns: object) -> Run:
    """Create a finished run of a mailing that counts clicks, unless `columns` say something else."""
    columns = {"track_clicks": True, **columns}
    state = columns.pop("run_state", RunState.FINISHED)
    at = START + timedelta(hours=hours)
    return create_run(
        MailingFactory.create(owner=user, **columns),
        {DeliveryState.SENT: sent, DeliveryState.FAILED: failed},
        scheduled_for=at,
        started_at=at,
        state=state,
        track_clicks=columns["track_clicks"],
        clicked=clicked,
    )


def read_rows(browser: FlaskClient, query: str = WEEK) -> list[list[str]]:
    rows = soup(browser.get(f"/reports/?{query}")).select("#send-rates tbody tr")
    return [[" ".join(cell.get_text(" ").split()) for cell in row.select("th, td")] for row in rows]


def test_a_report_shows_the_rates_of_each_send(browser: FlaskClient, user: User) -> None:
    send(user, 18, 2, clicked=9, name="Осень")
    send(user, 20, hours=1, name="Зима", track_clicks=False)
    assert read_rows(browser) == [
        ["Зима 20 Nov 2026, 13:00", "100%", "–", "0%"],
        ["Осень 20 Nov 2026, 12:00", "90%", "50%", "0%"],
    ]
    assert read_rows(browser, "since=2026-11-01&until=2026-11-19") == []


@pytest.mark.one_engine
def test_the_values_of_lines_are_numbers_or_missing(browser: FlaskClient, user: User) -> None:
    send(user, 18, 2, clicked=9)
    send(user, 20, hours=1, track_clicks=False)
    page = soup(browser.get(f"/reports/?{WEEK}"))
    values = [
        [cell.get("data-value") for cell in row.select("td")[:2]]
        for row in page.select("#send-rates tbody tr")
    ]
    assert values == [["100.0", None], ["90.0", "50.0"]]
    labels = [row["data-label"] for row in page.select("#send-rates tbody th") if isinstance(row, Tag)]
    assert labels == ["20 Nov", "20 Nov"]
    titles = [str(row["data-title"]) for row in page.select("#send-rates tbody th")]
    assert [title.rpartition(" · ")[2] for title in titles] == labels
    assert all(name in titles[0] for name in page.select("#send-rates tbody a")[0].stripped_strings)


@pytest.mark.one_engine
def test_small_single_and_unfinished_sends_draw_no_line(browser: FlaskClient, user: User) -> None:
    send(user, 30)
    send(user, 9, hours=1)
    send(user, 30, hours=2, kind=MailingKind.TRANSACTIONAL)
    send(user, 30, hours=3, run_state=RunState.SENDING)
    assert read_rows(browser) == []


@pytest.mark.one_engine
def test_another_owners_sends_are_not_shown(browser: FlaskClient, user: User) -> None:
    for hours in range(2):
        send(user, 30, hours=hours, name="Своя")
        send(MailingFactory.create().owner, 30, hours=hours, name="Чужая")
    assert [row[0].split()[0] for row in read_rows(browser)] == ["Своя", "Своя"]


@pytest.mark.one_engine
def test_the_number_of_statements_does_not_grow_with_sends(browser: FlaskClient, user: User) -> None:
    counts = []
    for first in (0, 2):
        for hours in range(first, first + 2 + 6 * first):
            send(user, 30, hours=hours)
        with record_statements() as statements:
            browser.get(f"/reports/?{WEEK}")
        counts.append(len(statements))
    assert counts[0] == counts[1]
