"""Test the growth of the list in a report."""

from datetime import UTC, datetime, timedelta

import pytest
from bs4 import Tag
from flask.testing import FlaskClient

from skymailing.clock import utcnow
from skymailing.models import DeliveryState, User
from skymailing.reports import growth
from tests.mailings.pages import soup
from tests.support.factories import (
    ClientFactory,
    MailingFactory,
    count_changes,
    create_clients,
    create_run,
)
from tests.support.statements import record_statements

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def add(owner: User, count: int, at: datetime) -> None:
    create_clients(owner, count, created_at=at)


def read(browser: FlaskClient, since: str, until: str, more: str = "") -> Tag | None:
    card = soup(browser.get(f"/reports/?since={since}&until={until}{more}")).select_one("#growth")
    assert card is None or isinstance(card, Tag)
    return card


def read_numbers(browser: FlaskClient, since: str, until: str) -> dict[str, str]:
    """Return the large numbers by their labels, with those of the period before."""
    card = read(browser, since, until)
    assert card is not None
    parts = [row.select("dt, dd") for row in card.select("dl > div")]
    return {label.get_text(): " ".join(number.get_text(" ").split()) for label, number in parts}


def read_bars(browser: FlaskClient, since: str, until: str) -> dict[str, int]:
    """Return the clients added by the labels of the bars, without empty ones."""
    card = read(browser, since, until)
    assert card is not None
    bars = {str(row.select("th")[0]["data-label"]): row.select("td")[0] for row in card.select("tbody tr")}
    return {label: int(str(cell["data-value"])) for label, cell in bars.items() if cell["data-value"] != "0"}


def test_the_clients_added_are_compared_with_the_period_before(browser: FlaskClient, user: User) -> None:
    add(user, 3, NOON)
    add(user, 2, NOON - timedelta(days=7))
    add(user, 9, NOON - timedelta(days=14))  # earlier still
    add(user, 9, NOON + timedelta(days=7))  # later
    ClientFactory.create(created_at=NOON)  # another owner's
    card = read(browser, "2026-11-16", "2026-11-22")
    assert card is not None
    assert "Compared with the previous 7 days (9 Nov 2026 – 15 Nov 2026)." in card.get_text()
    numbers = read_numbers(browser, "2026-11-16", "2026-11-22")
    assert numbers["Added"] == "+3 was 2"
    assert read_bars(browser, "2026-11-16", "2026-11-22") == {"20 Nov": 3}


def test_unsubscribes_and_complaints_are_counted_by_day(browser: FlaskClient, user: User) -> None:
    add(user, 1, NOON)
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 5}, scheduled_for=NOON)
    with count_changes(run) as changes:
        changes.add("unsubscribed", 2, NOON)
        changes.add("complaints", 1, NOON + timedelta(days=1))
        changes.add("unsubscribed", 4, NOON - timedelta(days=7))
    card = read(browser, "2026-11-16", "2026-11-22")
    assert card is not None
    rows = [row.get_text(" ", strip=True) for row in card.select("tbody tr") if not row.has_attr("hidden")]
    assert rows == ["21 Nov 0 1", "20 Nov 1 2"]
    assert read_numbers(browser, "2026-11-16", "2026-11-22")["Unsubscribes and complaints"] == "3 was 4"


@pytest.mark.parametrize(("until", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_days_are_those_of_the_users_zone_also_when_the_clocks_change(
    browser: FlaskClient, user: User, until: str, hours: int
) -> None:
    user.timezone = "Europe/Berlin"
    day = datetime.fromisoformat(until)
    midnight = day.replace(tzinfo=UTC) - timedelta(hours=1 if hours == 23 else 2)
    add(user, 1, midnight - timedelta(microseconds=1))
    add(user, 2, midnight)
    add(user, 4, midnight + timedelta(hours=hours, microseconds=-1))
    add(user, 8, midnight + timedelta(hours=hours))
    since = f"{day - timedelta(days=1):%Y-%m-%d}"
    labels = [f"{day - timedelta(days=1):%-d %b}", f"{day:%-d %b}"]
    assert read_bars(browser, since, until) == dict(zip(labels, (1, 6), strict=True))
    assert read_numbers(browser, until, until)["Added"] == "+6 was 1"


def test_a_long_period_has_a_bar_for_every_seven_days(browser: FlaskClient, user: User) -> None:
    add(user, 1, NOON - timedelta(days=7))
    add(user, 2, NOON - timedelta(days=6))
    add(user, 4, NOON)
    assert read_bars(browser, "2026-09-01", "2026-11-20") == {"7 Nov": 1, "14 Nov": 6}


@pytest.mark.one_engine
def test_the_total_is_shown_only_if_the_period_includes_today(browser: FlaskClient, user: User) -> None:
    today = utcnow()
    add(user, 1, today)
    add(user, 2, today - timedelta(days=400))
    days = [f"{today - timedelta(days=age):%Y-%m-%d}" for age in (0, 6)]
    assert read_numbers(browser, days[1], days[0])["Total now"] == "3"
    add(user, 1, today - timedelta(days=6))
    assert "Total now" not in read_numbers(browser, days[1], days[1])


@pytest.mark.one_engine
def test_without_changes_there_is_no_card(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(created_at=NOON)  # another owner's
    assert read(browser, "2026-11-16", "2026-11-22") is None
    add(user, 3, NOON - timedelta(days=100))
    assert read(browser, "2026-11-16", "2026-11-22") is None


@pytest.mark.one_engine
def test_a_report_on_one_mailing_has_no_card(browser: FlaskClient, user: User) -> None:
    add(user, 1, NOON)
    mailing = MailingFactory.create(owner=user)
    create_run(mailing, {DeliveryState.SENT: 5}, scheduled_for=NOON)
    assert read(browser, "2026-11-16", "2026-11-22") is not None
    assert read(browser, "2026-11-16", "2026-11-22", f"&mailing={mailing.id}") is None


def test_of_very_many_clients_only_the_newest_are_counted(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, count in ((40, 3), (12, 3), (4, 3), (2, 2), (0, 1)):
        add(user, count, NOON - timedelta(days=age))
    week = "2026-11-14", "2026-11-20"

    monkeypatch.setattr(growth, "READ_LIMIT", 12)  # all of them, but more may exist
    assert read_numbers(browser, *week)["Added"] == "+6 was 3"
    monkeypatch.setattr(growth, "READ_LIMIT", 8)  # some of the period before
    assert read_numbers(browser, *week)["Added"] == "+6"
    monkeypatch.setattr(growth, "READ_LIMIT", 5)  # some of the period
    assert read_numbers(browser, *week)["Added"] == "+5+"
    assert read_bars(browser, *week) == {"16 Nov": 2, "18 Nov": 2, "20 Nov": 1}
    card = read(browser, *week)
    assert card is not None
    assert "Only your newest 5 clients are counted." in card.get_text()
    assert "14 Nov" not in [str(row["data-label"]) for row in card.select("tbody th")]
    assert read(browser, "2026-11-01", "2026-11-10") is None  # older than all that are read


@pytest.mark.one_engine
def test_the_total_includes_clients_that_are_not_read(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(user, 6, utcnow())
    today = f"{utcnow():%Y-%m-%d}"
    monkeypatch.setattr(growth, "READ_LIMIT", 5)
    assert read_numbers(browser, today, today)["Total now"] == "6"
    monkeypatch.setattr(growth, "TOTAL_LIMIT", 5)
    assert read_numbers(browser, today, today)["Total now"] == "5+"


def test_one_statement_reads_a_limited_number_of_clients(browser: FlaskClient, user: User) -> None:
    add(user, 3, NOON)
    with record_statements() as statements:
        assert read(browser, "2025-11-21", "2026-11-20") is not None
    (statement,) = [text for text in statements if "FROM clients" in text and "created_at" in text]
    assert "LIMIT" in statement
