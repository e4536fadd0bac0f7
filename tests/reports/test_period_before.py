"""Test how a report compares its period with the one before."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bs4 import Tag
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from skymailing.models import DeliveryState, MailingState, RunInterval, User
from skymailing.reports.periods import Period
from skymailing.web.timezones import FIRST_YEAR
from tests.mailings.pages import soup
from tests.support.factories import ClientFactory, DeliveryFactory, MailingFactory, create_run
from tests.support.sales import PurchaseFactory

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def send(
    user: User, at: datetime, sent: int, failed: int = 0, amount: int = 0, currency: str = "RUB"
) -> None:
    """Add a run of a mailing that counts clicks, and a purchase."""
    mailing = MailingFactory.create(owner=user, track_clicks=True)
    run = create_run(mailing, {}, scheduled_for=at, planned=sent + failed)
    for state, count in ((DeliveryState.SENT, sent), (DeliveryState.FAILED, failed)):
        for _ in range(count):
            letter = DeliveryFactory.create(run=run, state=state, finished_at=at)
    if amount:
        client = ClientFactory.create(owner=user)
        sale = {"amount": amount, "currency": currency, "purchased_at": at}
        PurchaseFactory.create(client=client, delivery=letter, **sale)


def read_totals(browser: FlaskClient, since: str, until: str) -> str:
    totals = soup(browser.get(f"/reports/?since={since}&until={until}")).select_one("#totals")
    assert isinstance(totals, Tag)
    return " ".join(totals.get_text(" ").split())


def find_tile(browser: FlaskClient, label: str) -> Tag:
    """Return a tile of the report on the week of START."""
    page = soup(browser.get("/reports/?since=2026-11-16&until=2026-11-22"))
    (tile,) = (title.parent for title in page.select("#totals dt") if title.get_text() == label)
    assert tile is not None
    return tile


def test_the_numbers_of_the_same_time_before_are_shown(browser: FlaskClient, user: User) -> None:
    send(user, START, 6, 2, amount=5_000)
    send(user, START - timedelta(days=7), 3, 1, amount=2_500)
    send(user, START - timedelta(days=21), 20)  # earlier still
    text = read_totals(browser, "2026-11-16", "2026-11-22")
    assert "Delivered 6 75% of 8 was 3 · 75%" in text
    assert "Not delivered 2 25% was 1 · 25%" in text
    assert "RUB 50 1 order was RUB 25 ▲ 100% 100% more" in text
    assert "Compared with the previous 7 days (9 Nov 2026 – 15 Nov 2026)." in text


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("now", "before", "expected", "tone"),
    [
        ((60, 40), (90, 10), "was 90 · 90% ▼ 30 pp 30 percentage points less", "is-bad"),
        ((90, 10), (60, 40), "was 60 · 60% ▲ 30 pp 30 percentage points more", "is-good"),
        ((98, 2), (99, 1), "was 99 · 99% ▼ 1 pp 1 percentage points less", None),  # two letters are needed
        ((9, 1), (90, 10), "was 90 · 90%", None),
    ],
)
def test_a_share_says_by_how_much_it_has_changed(
    browser: FlaskClient,
    user: User,
    now: tuple[int, int],
    before: tuple[int, int],
    expected: str,
    tone: str | None,
) -> None:
    send(user, START, *now)
    send(user, START - timedelta(days=7), *before)
    tile = soup(browser.get("/reports/?since=2026-11-16&until=2026-11-22")).select(
        "#totals .headlines > div"
    )[0]
    assert " ".join(tile.get_text(" ").split()).endswith(expected)
    (change,) = tile.select(".change") or [None]
    assert (change["class"][1:] if change else []) == ([tone] if tone else [])


@pytest.mark.one_engine
def test_changes_of_unclear_and_unsent_letters_are_shown(browser: FlaskClient, user: User) -> None:
    for at, unknown, cancelled in ((START, 20, 30), (START - timedelta(days=7), 5, 5)):
        counts = {"sent": 50, "unknown": unknown, "cancelled": cancelled}
        run = create_run(
            MailingFactory.create(owner=user), {}, scheduled_for=at, planned=sum(counts.values())
        )
        for state, count in counts.items():
            for _ in range(count):
                DeliveryFactory.create(run=run, state=DeliveryState(state), finished_at=at)
    unclear, not_sent = (find_tile(browser, label) for label in ("Unclear", "Not sent"))
    assert "20 28.6% was 5 · 9.1% ▲ 19.5 pp" in " ".join(unclear.get_text(" ").split())
    assert "30 30% was 5 · 8.3% ▲ 21.7 pp" in " ".join(not_sent.get_text(" ").split())
    changes = [tile.select_one(".change") for tile in (unclear, not_sent)]
    assert [change["class"][1:] for change in changes if change] == [["is-bad"], []]


@pytest.mark.one_engine
def test_a_report_says_that_nothing_was_sent_before(browser: FlaskClient, user: User) -> None:
    send(user, START, 6, 2)
    text = read_totals(browser, "2026-11-16", "2026-11-22")
    assert "Nothing was sent in the previous 7 days (9 Nov 2026 – 15 Nov 2026)." in text
    assert "Compared with" not in text


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("now", "before", "expected", "tone"),
    [
        ((60, 40), (90, 10), "40 40% was 10 · 10% ▲ 30 pp 30 percentage points more", "is-bad"),
        ((90, 10), (60, 40), "10 10% was 40 · 40% ▼ 30 pp 30 percentage points less", "is-good"),
        ((90, 10), (9, 1), "10 10% was 1 · 10%", None),
    ],
)
def test_more_undelivered_letters_are_worse(
    browser: FlaskClient,
    user: User,
    now: tuple[int, int],
    before: tuple[int, int],
    expected: str,
    tone: str | None,
) -> None:
    send(user, START, *now)
    send(user, START - timedelta(days=7), *before)
    tile = find_tile(browser, "Not delivered")
    assert " ".join(tile.get_text(" ").split()) == f"Not delivered {expected}"
    assert [change["class"][1:] for change in tile.select(".change")] == ([[tone]] if tone else [])


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("amount", "expected", "tones"),
    [
        (3_000, "▼ 25% 25% less", [["is-bad"]]),
        (4_400, "▲ 10% 10% more", [[]]),  # a difference of less than a fifth says little
        (6_000, "▲ 50% 50% more", [["is-good"]]),
        (4_001, "", []),
    ],
)
def test_revenue_says_by_how_much_it_has_changed(
    browser: FlaskClient, user: User, amount: int, expected: str, tones: list[list[str]]
) -> None:
    send(user, START, 1, amount=amount)
    send(user, START - timedelta(days=7), 1, amount=4_000)
    tile = find_tile(browser, "Revenue")
    assert " ".join(tile.get_text(" ").split()).partition("was RUB 40")[2].strip() == expected
    assert [change["class"][1:] for change in tile.select(".change")] == tones


@pytest.mark.one_engine
def test_letters_that_are_not_sent_yet_have_a_tile_of_their_own(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(mailing, {DeliveryState.SENT: 2, DeliveryState.PENDING: 3}, scheduled_for=START)
    tile = find_tile(browser, "Waiting")
    assert " ".join(tile.get_text(" ").split()) == "Waiting 3"
    assert "Waiting" not in find_tile(browser, "Delivered").text


@pytest.mark.one_engine
def test_revenue_is_compared_in_its_own_currency(browser: FlaskClient, user: User) -> None:
    send(user, START, 1, amount=5_000)
    for _ in range(2):  # the currency of most orders
        send(user, START - timedelta(days=7), 1, amount=9_900, currency="EUR")
    assert "RUB 50 1 order Compared" in read_totals(browser, "2026-11-16", "2026-11-22")
    send(user, START - timedelta(days=7), 1, amount=2_500)
    assert "RUB 50 1 order was RUB 25" in read_totals(browser, "2026-11-16", "2026-11-22")


@pytest.mark.one_engine
def test_nothing_is_said_if_nothing_was_sent_before(browser: FlaskClient, user: User) -> None:
    send(user, START, 6)
    text = read_totals(browser, "2026-11-16", "2026-11-22")
    assert "before" not in text
    assert "Compared with" not in text


@pytest.mark.one_engine
def test_a_report_on_one_mailing_is_compared_with_the_same_mailing(browser: FlaskClient, user: User) -> None:
    send(user, START - timedelta(days=1), 3)
    send(user, START, 6)
    assert "was 3" in read_totals(browser, "2026-11-20", "2026-11-20")
    (mailing, *_rest) = soup(browser.get("/reports/?since=2026-11-20&until=2026-11-20")).select("#mailings a")
    page = soup(browser.get(str(mailing["href"])))
    assert page.select_one("#totals") is not None
    (note,) = page.select("#earlier")
    assert note.get_text() == "Nothing was sent on the day before (19 Nov 2026)."


@pytest.mark.one_engine
def test_a_period_has_one_of_the_same_length_before_it() -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert Period(date(2026, 3, 1), date(2026, 3, 31), zone).before == Period(
        date(2026, 1, 29), date(2026, 2, 28), zone
    )
    one_day = Period(date(2026, 3, 29), date(2026, 3, 29), zone)
    assert one_day.before == Period(date(2026, 3, 28), date(2026, 3, 28), zone)
    earliest = date(FIRST_YEAR, 1, 20)
    assert Period(earliest, earliest + timedelta(days=40), zone).before is None


@pytest.mark.one_engine
def test_a_mailing_that_counted_no_clicks_is_not_shown_with_zero(
    browser: FlaskClient, user: User, session: Session
) -> None:
    send(user, START, 3)
    session.execute(update(RunInterval).values(clicked=2))
    session.commit()
    send(user, START - timedelta(days=1), 4)
    rows = soup(browser.get("/reports/?since=2026-11-16&until=2026-11-22")).select("#mailings tbody tr")
    numbers = [[cell.get_text(strip=True) for cell in row.select("td")] for row in rows]
    assert numbers == [["4100%", "0", "–"], ["3100%", "0", "2"]]
