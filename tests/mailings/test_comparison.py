"""Test how a run is compared with the owner's runs before it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import object_session

from skymailing.extensions import db
from skymailing.mailings import comparison
from skymailing.mailings.comparison import Comparison, compare, find_earlier_runs
from skymailing.mailings.queries import count_runs
from skymailing.models import Delivery, DeliveryState, Mailing, MailingKind, MailingState, Run, RunState, User
from tests.mailings.pages import soup
from tests.support.factories import ClientFactory, MailingFactory, create_run
from tests.support.sales import PurchaseFactory

START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def mailing(user: User) -> Mailing:
    mailing: Mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, starts_at=START)
    return mailing


@pytest.fixture(autouse=True)
def few_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare runs with few letters, which are quickly created."""
    monkeypatch.setattr(comparison, "MIN_PLANNED", 20)


def add_run(mailing: Mailing, day: int, sent: int = 20, failed: int = 0, **values: Any) -> Run:
    at = START + timedelta(days=day)
    counts = {DeliveryState.SENT: sent, DeliveryState.FAILED: failed}
    return create_run(
        mailing, counts, **{"scheduled_for": at, "started_at": at, "state": RunState.FINISHED} | values
    )


Find = Callable[..., Comparison | None]


@pytest.fixture
def find(app: Flask) -> Find:
    """Return a function that returns one of a run's comparisons."""

    def find(run: Run, name: str, now: datetime = START + timedelta(days=100)) -> Comparison | None:
        with app.app_context():
            (ledger,) = count_runs([db.session.get_one(Run, run.id)])
            compared = compare(ledger, ledger.run.mailing.owner_id, now)
        return next((row for row in compared if row.name == name), None)

    return find


def test_fewer_than_three_earlier_runs_are_not_enough(find: Find, mailing: Mailing) -> None:
    runs = [add_run(mailing, day) for day in range(4)]
    assert find(runs[2], "delivered") is None
    assert find(runs[3], "delivered") == Comparison("delivered", 100, 100, "usual")


def test_only_the_owners_earlier_finished_runs_count(app: Flask, mailing: Mailing) -> None:
    earlier = [add_run(mailing, day) for day in range(12)]
    owner_id = mailing.owner_id
    other = MailingFactory.create(owner=mailing.owner)
    earlier.append(add_run(other, 12))
    add_run(MailingFactory.create(), 12)  # another owner's
    add_run(mailing, 13, state=RunState.CANCELLED)
    run = add_run(mailing, 14)
    add_run(mailing, 15)
    with app.app_context():
        found = [earlier.id for earlier in find_earlier_runs(db.session.get_one(Run, run.id), owner_id)]
    assert found == [run.id for run in reversed(earlier[-10:])]


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [(0, "better"), (3, "better"), (4, "usual"), (5, "usual"), (6, "usual"), (7, "worse")],
)
def test_two_letters_more_make_a_difference(find: Find, mailing: Mailing, failed: int, verdict: str) -> None:
    for day in range(3):
        add_run(mailing, day, sent=15, failed=5)
    found = find(add_run(mailing, 9, sent=20 - failed, failed=failed), "delivered")
    assert found
    assert (found.usual, found.verdict) == (75, verdict)


@pytest.mark.one_engine
def test_reactions_are_judged_after_a_day(find: Find, mailing: Mailing) -> None:
    for day in range(3):
        add_run(mailing, day, track_clicks=True, clicked=5, unsubscribed=2, complaints=0)
    run = add_run(mailing, 9, track_clicks=True, clicked=8, unsubscribed=6, complaints=2)
    early, late = run.started_at + timedelta(hours=23), run.started_at + timedelta(hours=24)
    verdicts = {
        name: [
            comparison and comparison.verdict
            for comparison in (find(run, name, early), find(run, name, late))
        ]
        for name in ("delivered", "clicked", "unsubscribed", "complaints")
    }
    assert verdicts == {
        "delivered": ["usual", "usual"],
        "clicked": ["early", "better"],
        "unsubscribed": ["early", "worse"],
        "complaints": ["early", "worse"],
    }


@pytest.mark.one_engine
def test_clicks_are_compared_only_with_runs_that_counted_them(find: Find, mailing: Mailing) -> None:
    for day in range(5):
        add_run(mailing, day, track_clicks=day > 2, clicked=5 if day > 2 else 0)
    assert find(add_run(mailing, 8, track_clicks=True, clicked=5), "clicked") is None, "only two counted"
    assert find(add_run(mailing, 9), "clicked") is None, "it does not count clicks"
    found = find(add_run(mailing, 10, track_clicks=True, clicked=5), "clicked")
    assert found == Comparison("clicked", 25, 25, "usual")


@pytest.mark.one_engine
def test_the_runs_page_shows_the_comparison_in_words(browser: FlaskClient, mailing: Mailing) -> None:
    runs = [add_run(mailing, day, sent=15, failed=5) for day in range(3)]
    runs.append(add_run(mailing, 9))
    table = soup(browser.get(f"/mailings/runs/{runs[-1].id}")).find(id="comparison")
    assert table is not None
    assert "Delivered better than usual 100% 75%" in " ".join(table.get_text(" ").split())
    assert soup(browser.get(f"/mailings/runs/{runs[0].id}")).find(id="comparison") is None


@pytest.mark.one_engine
def test_cancelled_letters_do_not_make_a_run_worse(find: Find, mailing: Mailing) -> None:
    for day in range(3):
        add_run(mailing, day, sent=19, failed=1)
    counts = {DeliveryState.SENT: 19, DeliveryState.FAILED: 1, DeliveryState.CANCELLED: 180}
    run = create_run(mailing, counts, scheduled_for=START + timedelta(days=10), state=RunState.FINISHED)
    assert find(run, "delivered") == Comparison("delivered", 95, 95, "usual")


def test_an_unfinished_run_is_not_compared(find: Find, mailing: Mailing) -> None:
    for day in range(3):
        add_run(mailing, day)
    assert find(add_run(mailing, 9, state=RunState.SENDING), "delivered") is None
    assert comparison.MIN_RUNS == 3


def test_small_runs_and_letters_of_sequences_are_not_usual(app: Flask, mailing: Mailing) -> None:
    add_run(mailing, 1, sent=19)
    add_run(MailingFactory.create(owner=mailing.owner, kind=MailingKind.SEQUENCE), 2)
    usual, last = add_run(mailing, 3), add_run(mailing, 9)
    with app.app_context():
        found = find_earlier_runs(db.session.get_one(Run, last.id), mailing.owner_id)
        assert [run.id for run in found] == [usual.id]


@pytest.mark.one_engine
def test_a_run_of_a_sequence_is_not_compared(find: Find, mailing: Mailing) -> None:
    for day in range(3):
        add_run(mailing, day)
    step = MailingFactory.create(owner=mailing.owner, kind=MailingKind.SEQUENCE)
    assert find(add_run(step, 9), "delivered") is None


@pytest.mark.one_engine
@pytest.mark.parametrize(("returned", "verdict"), [(1, "better"), (4, "usual"), (8, "worse")])
def test_returned_letters_are_compared(find: Find, mailing: Mailing, returned: int, verdict: str) -> None:
    for day in range(3):
        add_run(mailing, day, returned=4)
    found = find(add_run(mailing, 9, returned=returned), "returned")
    assert found == Comparison("returned", 5 * returned, 20, verdict)


def sell(run: Run, *amounts: int, currency: str = "EUR") -> Run:
    """Add purchases that are credited to a letter of the run."""
    session = object_session(run)
    assert session is not None
    letter = session.scalars(select(Delivery).where(Delivery.run_id == run.id)).first()
    client = ClientFactory.create(owner=run.mailing.owner)
    for amount in amounts:
        PurchaseFactory.create(client=client, delivery=letter, amount=amount, currency=currency)
    return run


@pytest.mark.parametrize(
    ("amount", "verdict"),
    [(2_500, "better"), (2_300, "usual"), (1_700, "usual"), (1_600, "worse"), (0, "worse")],
)
def test_the_revenue_per_letter_is_compared(find: Find, mailing: Mailing, amount: int, verdict: str) -> None:
    for day in range(3):
        sell(add_run(mailing, day), 1_000, 1_000)
    sell(add_run(mailing, 3), 9_999_999, currency="JPY")
    run = sell(add_run(mailing, 9), amount)
    assert find(run, "revenue") == Comparison("revenue", amount / 20, 100, verdict, "EUR")
    early = find(run, "revenue", run.started_at + timedelta(days=7))
    assert early is not None
    assert early.verdict == "early", "a click leads to purchases for a week"


@pytest.mark.one_engine
def test_revenue_is_unknown_before_the_shop_reports_it(find: Find, mailing: Mailing) -> None:
    runs = [add_run(mailing, day) for day in range(4)]
    assert find(runs[-1], "revenue") is None
    assert find(sell(runs[-1], 5_000), "revenue") is None, "the usual is not known yet"


@pytest.mark.one_engine
def test_the_page_of_a_finished_mailing_shows_the_comparison(browser: FlaskClient, mailing: Mailing) -> None:
    for day in range(3):
        sell(add_run(MailingFactory.create(owner=mailing.owner), day, track_clicks=True, clicked=2), 1_000)
    sell(add_run(mailing, 9, track_clicks=True, clicked=4), 2_000)
    table = soup(browser.get(f"/mailings/{mailing.id}")).find(id="comparison")
    assert table is not None
    text = " ".join(table.get_text(" ").split())
    assert "Clicked better than usual 20% 10%" in text
    assert "Revenue per email better than usual €1 €0.50" in text
