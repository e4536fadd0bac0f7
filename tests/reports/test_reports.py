"""Test reports as a page, a file and a command: numbers, access and invalid periods."""

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bs4 import Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.mailings import log_queries
from skymailing.models import DeliveryState, Mailing, Outcome, User
from skymailing.reports import views
from tests.conftest import SignIn
from tests.mailings.pages import get_field_error, get_main_text, get_value, soup
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, UserFactory, create_run

# Kathmandu is 5:45 ahead of UTC, so its midnight is 18:15 in UTC.
START = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
PERIOD = "since=2026-11-19&until=2026-11-22"


@pytest.fixture
def user(session: Session) -> User:
    user: User = UserFactory.create(timezone="Asia/Kathmandu")
    return user


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    return sign_in(user)


@pytest.fixture
def mailing(user: User) -> Mailing:
    """Create a mailing of ten letters at five-minute intervals around midnight; every fifth letter failed."""
    mailing: Mailing = MailingFactory.create(owner=user, name="=Осень", starts_at=START)
    run = create_run(mailing, {}, scheduled_for=START, planned=10)
    for number in range(10):
        at = START + timedelta(minutes=5 * number)
        is_failed = number % 5 == 4
        state = DeliveryState.FAILED if is_failed else DeliveryState.SENT
        delivery = DeliveryFactory.create(run=run, state=state, finished_at=at)
        refusal = {"outcome": Outcome.FAILED, "code": 550, "answer": "5.1.1 no such user"}
        AttemptFactory.create(delivery=delivery, at=at, **(refusal if is_failed else {}))
    return mailing


def read_table(browser: FlaskClient, path: str, name: str) -> dict[str, list[int]]:
    """Return the numbers of a table's rows by title, without rows of zeros."""
    table = soup(browser.get(path)).find(id=name)
    assert isinstance(table, Tag)
    rows = {
        " ".join(row.select_one("th").get_text().split()): [  # type: ignore[union-attr]
            int(str(cell["data-value"])) for cell in row.select("td[data-value]")
        ]
        for row in table.select("tbody tr")
    }
    return {title: numbers for title, numbers in rows.items() if any(numbers)}


def test_the_page_shows_days_in_the_users_time_zone(browser: FlaskClient, mailing: Mailing) -> None:
    # Midnight in Kathmandu is 18:15 in UTC: three letters before it, seven after.
    assert read_table(browser, f"/reports/?{PERIOD}", "all-days") == {
        "20 Nov": [10, 3, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0],
        "21 Nov": [0, 5, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0],
    }
    assert read_table(browser, f"/reports/?{PERIOD}", "all-mailings") == {
        "=Осень": [10, 8, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0]
    }
    # By default, the tables have only the most important numbers.
    assert read_table(browser, f"/reports/?{PERIOD}", "days") == {"20 Nov": [3, 0], "21 Nov": [5, 2]}
    assert read_table(browser, f"/reports/?{PERIOD}", "mailings") == {"=Осень": [8, 2]}
    text = get_main_text(browser.get(f"/reports/?{PERIOD}"))
    assert "550 5.1.1 no such user 2" in text
    assert "Attempts per email 1" in text
    assert "Half sent within 15 min" in text
    assert "95% sent within 40 min" in text


def test_the_report_offers_usual_periods(browser: FlaskClient, mailing: Mailing) -> None:
    page = soup(browser.get(f"/reports/?mailing={mailing.id}"))
    periods = {link.get_text(strip=True): link for link in page.select("nav.choices a")}
    assert list(periods) == ["7 days", "30 days", "90 days", "1 year"]
    assert [name for name, link in periods.items() if link.has_attr("aria-current")] == ["30 days"]
    week = browser.get(str(periods["7 days"]["href"]))
    assert [link.get_text() for link in soup(week).select("nav.choices a[aria-current]")] == ["7 days"]
    assert get_value(week, "mailing") == str(mailing.id)
    assert browser.get(str(periods["1 year"]["href"])).status_code == 200


def test_a_report_covers_one_or_all_of_the_users_own_mailings(
    browser: FlaskClient, user: User, mailing: Mailing
) -> None:
    other = MailingFactory.create(owner=user)
    create_run(other, {DeliveryState.SENT: 4}, scheduled_for=START)
    foreign = MailingFactory.create()
    create_run(foreign, {DeliveryState.SENT: 8}, scheduled_for=START)
    assert "Planned 14" in get_main_text(browser.get(f"/reports/?{PERIOD}"))
    assert "Planned 4" in get_main_text(browser.get(f"/reports/?{PERIOD}&mailing={other.id}"))
    for page in ("", "report.csv"):
        assert browser.get(f"/reports/{page}?{PERIOD}&mailing={foreign.id}").status_code == 404
        assert browser.get(f"/reports/{page}?{PERIOD}&mailing=999999999").status_code == 404


def test_an_invalid_period_is_explained_beside_its_field(browser: FlaskClient) -> None:
    errors = {
        "since=2026-11-20&until=2026-11-19": ("until", "ends before it begins"),
        "since=2025-11-20&until=2026-11-21": ("until", "up to 366 days"),
        "since=2020-01-01": ("until", "up to 366 days"),
        "since=0001-01-01": ("since", "between 1970 and 9000"),
        "since=yesterday": ("since", "Not a valid date"),
    }
    for query, (field, expected) in errors.items():
        page = browser.get(f"/reports/?{query}")
        assert expected in get_field_error(page, field), query
        assert browser.get(f"/reports/report.csv?{query}").status_code == 400
    assert browser.get("/reports/?since=2024-01-01&until=2024-12-31").status_code == 200
    for edge in ("until=1970-01-01", "since=9000-12-31", "until=9000-12-31"):
        assert browser.get(f"/reports/?{edge}").status_code == 200


def test_a_period_without_letters_suggests_what_to_do(browser: FlaskClient, mailing: Mailing) -> None:
    page = browser.get("/reports/?since=2020-01-01&until=2020-01-31")
    assert "Nothing was sent in this period" in get_main_text(page)
    assert 'value="2020-01-01"' in page.text


def test_the_file_has_a_row_for_each_mailing_on_each_day(browser: FlaskClient, mailing: Mailing) -> None:
    lines = list(csv.reader(browser.get(f"/reports/report.csv?{PERIOD}").text.splitlines()))
    assert lines[0] == [
        *("day", "begins_at", "mailing_id", "mailing", "planned", "sent", "failed", "unknown"),
        *("expired", "suppressed", "cancelled", "attempts", "returned", "complaints", "clicked"),
        *("unsubscribed", "tracked"),
    ]
    id = str(mailing.id)
    zeros = ["0", "0", "0", "0"]
    assert lines[1:] == [
        ["2026-11-20", "2026-11-19T18:15:00Z", id, "'=Осень", "10", "3", "0", *zeros, "3", *zeros, "0"],
        ["2026-11-21", "2026-11-20T18:15:00Z", id, "'=Осень", "0", "5", "2", *zeros, "7", *zeros, "0"],
    ]


def test_the_command_prints_the_same_numbers_as_json_and_csv(
    app: Flask, user: User, mailing: Mailing
) -> None:
    def run(*arguments: str) -> str:
        days = ["--since", "2026-11-19", "--until", "2026-11-22"]
        result = app.test_cli_runner().invoke(args=["mailings", "report", *days, *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    for arguments in (["--owner", user.email], ["--mailing", str(mailing.id)]):
        report = json.loads(run(*arguments))
        assert (report["timezone"], report["begins_at"]) == ("Asia/Kathmandu", "2026-11-18T18:15:00Z")
        assert {name: report["totals"][name] for name in ("planned", "sent", "failed", "attempts")} == {
            "planned": 10,
            "sent": 8,
            "failed": 2,
            "attempts": 10,
        }
        assert (report["totals"]["median_seconds"], report["totals"]["p95_seconds"]) == (900, 2400)
        assert report["reasons"] == [{"code": 550, "words": "5.1.1 no such user", "attempts": 2}]
        assert [day["sent"] for day in report["days"]] == [0, 3, 5, 0]
        assert [(row["id"], row["sent"]) for row in report["mailings"]] == [(mailing.id, 8)]
        assert len(run(*arguments, "--format", "csv").splitlines()) == 3
    foreign = MailingFactory.create()
    create_run(foreign, {DeliveryState.SENT: 2}, scheduled_for=START)
    assert json.loads(run())["totals"]["sent"] == 10


def test_mailings_that_are_not_listed_can_be_found_by_name(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MAILINGS_SHOWN", 2)
    monkeypatch.setattr(log_queries, "MAILINGS_LISTED", 2)
    mailings = [MailingFactory.create(owner=user, name=f"Письмо {number}") for number in range(4)]
    for size, mailing in zip((1, 5, 3, 2), mailings, strict=True):
        create_run(mailing, {DeliveryState.SENT: size}, scheduled_for=START)
    foreign = MailingFactory.create(name="Письмо 0")
    create_run(foreign, {DeliveryState.SENT: 1}, scheduled_for=START)
    oldest = mailings[0].id

    page = browser.get(f"/reports/?{PERIOD}")
    assert [*read_table(browser, f"/reports/?{PERIOD}", "mailings")] == ["Письмо 1", "Письмо 2"]
    assert "Showing the 2 largest of 4 mailings" in get_main_text(page)
    assert [option["value"] for option in soup(page).select("#mailing option")] == [
        str(mailing_id) for mailing_id in (0, mailings[3].id, mailings[2].id)
    ]
    assert "Find older ones by name" in get_main_text(page)

    page = browser.get(f"/reports/?{PERIOD}&q=ПИСЬМО+0")
    (link,) = soup(page).select("#mailings tbody a")
    assert f"mailing={oldest}" in str(link["href"])
    assert "of 4 mailings" not in get_main_text(page)
    assert "Planned 11" in get_main_text(page), "the rest of the page still covers all mailings"
    assert "No mailings with this name" in get_main_text(browser.get(f"/reports/?{PERIOD}&q=Посылка"))
    # An older mailing stays selected when the dates change.
    assert get_value(browser.get(str(link["href"])), "mailing") == str(oldest)
    assert get_value(browser.get(f"/logs/?mailing={oldest}"), "mailing") == str(oldest)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--owner", "stranger@example.org"], "no account"),
        (["--mailing", "999999999"], "no mailing 999999999"),
        (["--since", "2026-11-20", "--until", "2026-11-01"], "before its beginning"),
        (["--since", "2020-01-01", "--until", "2026-11-01"], "up to 366 days"),
        (["--since", "0001-01-01"], "between 1970 and 9000"),
    ],
)
def test_the_command_explains_invalid_arguments(
    app: Flask, session: Session, arguments: list[str], expected: str
) -> None:
    result = app.test_cli_runner().invoke(args=["mailings", "report", *arguments])
    assert result.exit_code == 1
    assert expected in result.output


def test_the_command_rejects_another_owners_mailing(app: Flask, user: User) -> None:
    foreign = MailingFactory.create()
    arguments = ["mailings", "report", "--owner", user.email, "--mailing", str(foreign.id)]
    result = app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code == 1
    assert "does not belong to" in result.output


def add_letters(mailing: Mailing, **changes: Any) -> None:
    """Add to the mailing letters that were not sent: refused, or skipped because of their recipients."""
    run = create_run(mailing, {}, planned=4, scheduled_for=START + timedelta(hours=2), **changes)
    at = START + timedelta(hours=3)
    for answer in ("5.2.2 mailbox full", "4.4.1 connection timed out"):
        delivery = DeliveryFactory.create(run=run, state=DeliveryState.FAILED, finished_at=at)
        AttemptFactory.create(delivery=delivery, at=at, outcome=Outcome.FAILED, code=550, answer=answer)
    for state in (DeliveryState.SUPPRESSED, DeliveryState.EXPIRED):
        DeliveryFactory.create(run=run, state=state, finished_at=at)


def test_three_numbers_come_first_with_the_reasons_in_words(browser: FlaskClient, mailing: Mailing) -> None:
    add_letters(mailing)
    page = soup(browser.get(f"/reports/?{PERIOD}"))
    first = " ".join(page.select("#totals .headlines")[0].get_text(" ").split())
    # Emails that were not sent are not among those of which the others are a share.
    assert first.startswith("Delivered 8 66.7% of 12 Not delivered 4 33.3% Not sent 2 14.3% of 14 planned")
    assert [" ".join(line.get_text("").split()) for line in page.select(".causes li")] == [
        "address does not exist: 2",
        "mailbox full: 1",
        "mail server unavailable or busy: 1",
        "unsubscribed or excluded before sending: 1",
        "the mailing ended first: 1",
    ]
    (folded,) = page.select("#totals details:not(.fold)")
    assert "open" not in folded.attrs
    for name in ("Attempts", "Half sent within", "95% sent within", "5.2.2 mailbox full"):
        assert name in folded.get_text()
        assert name not in first


def test_days_and_mailings_without_emails_are_hidden(browser: FlaskClient, mailing: Mailing) -> None:
    page = soup(browser.get(f"/reports/?{PERIOD}"))
    rows = page.select("#days tbody tr")
    shown = [row.th.get_text() for row in rows if "hidden" not in row.attrs]  # type: ignore[union-attr]
    assert shown == ["21 Nov", "20 Nov"], "the newest day comes first"
    assert len(rows) == 4, "the chart needs every day"
    assert "2 days without emails are not shown." in page.get_text()
    assert [row.th.get_text() for row in page.select("#all-days tbody tr")] == shown  # type: ignore[union-attr]


def test_days_have_a_year_if_the_period_has_two(browser: FlaskClient, mailing: Mailing) -> None:
    page = soup(browser.get("/reports/?since=2025-12-31&until=2026-11-22"))
    assert page.select("#days tbody th")[0].get_text() == "22 Nov 2026"


def test_the_total_is_below_the_days_that_the_chart_shows(browser: FlaskClient, mailing: Mailing) -> None:
    page = soup(browser.get(f"/reports/?{PERIOD}"))
    total = [int(str(cell["data-value"])) for cell in page.select("#days tfoot td")]
    days = read_table(browser, f"/reports/?{PERIOD}", "days")
    assert total == [sum(column) for column in zip(*days.values(), strict=True)] == [8, 2]
    drawn = [title["data-tone"] for title in page.select("#days thead th[data-tone]")]
    assert drawn == ["good", "bad"]


def test_clicks_are_among_the_first_numbers_only_if_they_are_counted(
    browser: FlaskClient, mailing: Mailing, session: Session
) -> None:
    text = get_main_text(browser.get(f"/reports/?{PERIOD}"))
    assert "Clicks are not counted. Turn on" in text
    mailing.track_clicks = True
    session.flush()
    text = get_main_text(browser.get(f"/reports/?{PERIOD}"))
    assert "Clicks are not counted." not in text
    assert "Clicked 0" in text
