"""Test the sums below the tables of a report."""

from datetime import UTC, datetime, timedelta

from flask.testing import FlaskClient

from skymailing.models import DeliveryState, User
from tests.mailings.pages import soup
from tests.support.factories import MailingFactory, create_run

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_the_total_is_below_the_mailings(browser: FlaskClient, user: User) -> None:
    for name, counts in {
        "Осень": {DeliveryState.SENT: 8, DeliveryState.FAILED: 2},
        "Зима": {DeliveryState.SENT: 3, DeliveryState.UNKNOWN: 1},
    }.items():
        create_run(MailingFactory.create(owner=user, name=name), counts, scheduled_for=START)

    def read_total(query: str = "") -> tuple[str, list[str]]:
        page = soup(browser.get(f"/reports/?since=2026-11-19&until=2026-11-22{query}"))
        (row,) = page.select("#mailings tfoot tr")
        cells = [" ".join(cell.get_text(" ").split()) for cell in row.select("th, td")]
        return cells[0], cells[1:]

    assert read_total() == ("Total", ["11 78.6%", "2", "1"])
    assert read_total("&q=Зима") == ("Total", ["3 75%", "0", "1"]), "of the mailings in the table"


def test_tables_show_seven_rows_and_fold_the_others(browser: FlaskClient, user: User) -> None:
    for day in range(9):
        at = START + timedelta(days=day)
        create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 1}, scheduled_for=at)
    for until, count in (("2026-11-26", 7), ("2026-11-28", 9)):
        page = soup(browser.get(f"/reports/?since=2026-11-10&until={until}"))
        for table in ("#days", "#mailings"):
            rows = page.select(f"{table} tbody tr:not([hidden])")
            folded = [row.get("class") == ["is-later"] for row in rows]
            assert folded == [False] * 7 + [True] * (count - 7), table
        labels = [toggle.get_text() for toggle in page.select(".has-later + .show-all .when-closed")]
        assert labels == [f"Show all ({count})"] * 2 * (count > 7)
        totals = [title.get_text() for title in page.select("tfoot th")]
        assert totals == (["All days", "Total for the period"] if count > 7 else ["Total"] * 2), (
            "of folded rows, too"
        )
