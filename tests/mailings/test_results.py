"""Test how pages sum up what happened to letters, in words."""

from collections import Counter
from datetime import timedelta

import pytest
from bs4 import Tag
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.smtp.reasons import RefusalReason
from skymailing.mailings.result_text import CAUSE_TEXTS, format_share
from skymailing.mailings.results import NOT_SENT, RETURNED, Cause, sum_up
from skymailing.models import (
    LATER_COUNTS,
    DeliveryState,
    MailingState,
    Outcome,
    Run,
    RunState,
    User,
)
from skymailing.reports.aggregates import SUMS
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, create_run

# Page texts do not depend on the database.
pytestmark = pytest.mark.one_engine

FULL, DEAD, SPAM = RefusalReason.FULL_MAILBOX, RefusalReason.NO_ADDRESS, RefusalReason.SPAM


def count(**counts: int) -> dict[str, int]:
    return dict.fromkeys(SUMS, 0) | counts


def list_causes(page: Tag) -> list[str]:
    return [" ".join(line.get_text("").split()) for line in page.select(".causes li")]


def test_results_add_up() -> None:
    results = sum_up(
        count(planned=20, sent=12, failed=3, suppressed=2, unknown=1, returned=2), Counter({FULL: 2, DEAD: 1})
    )
    assert (results.delivered, results.undelivered, results.unknown, results.not_sent) == (10, 5, 1, 2)
    assert (results.total, results.tried, results.open) == (20, 16, 2)
    assert {cause.name: cause.count for cause in results.causes} == {
        "full-mailbox": 2,
        "no-address": 1,
        "suppressed": 2,
        "returned": 2,
    }
    assert not results.is_estimate


@pytest.mark.parametrize(
    ("failed", "refusals", "expected"),
    [
        (3, {FULL: 4, DEAD: 2}, {"full-mailbox": 2, "no-address": 1}),  # all were sent again
        (1, {FULL: 4, DEAD: 2, SPAM: 2}, {"full-mailbox": 0, "no-address": 0, "spam": 1}),
        (0, {FULL: 4}, {}),  # all were accepted later
        (5, {FULL: 3}, {"full-mailbox": 3, "other": 2}),  # without a reply
    ],
)
def test_reasons_add_up_to_the_failed_letters(
    failed: int, refusals: dict[RefusalReason, int], expected: dict[str, int]
) -> None:
    results = sum_up(count(planned=9, failed=failed), refusals)
    assert {cause.name: cause.count for cause in results.causes} == {
        name: number for name, number in expected.items() if number
    }
    assert results.undelivered == failed
    assert results.is_estimate is (0 < failed < sum(refusals.values()))


def test_a_period_can_have_more_results_than_planned_letters() -> None:
    results = sum_up(count(planned=0, sent=5, failed=2), {DEAD: 2})
    assert (results.delivered, results.total, results.open) == (5, 7, 0)
    results = sum_up(count(planned=0, sent=0, returned=2), {})
    assert (results.delivered, results.total) == (0, 2)


def test_every_cause_has_a_text() -> None:
    assert set(CAUSE_TEXTS) == {*RefusalReason, *NOT_SENT, RETURNED}
    assert Cause(RETURNED, 1).name not in {*RefusalReason, *DeliveryState}


def test_a_share_is_rounded_but_never_to_everything_or_nothing(browser: FlaskClient) -> None:
    with browser.application.test_request_context():
        shares = [(0, 3), (3, 3), (1, 3), (99_999, 100_000), (1, 100_000), (3, 1000), (1, 0)]
        assert [format_share(*share) for share in shares] == [
            *("0%", "100%", "33.3%", "99.9%", "0.01%", "0.3%", "")
        ]


@pytest.fixture
def run(session: Session, user: User) -> Run:
    """Create a run with letters that were sent, refused for two reasons, and skipped."""
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    counts = {DeliveryState.SENT: 5, DeliveryState.SUPPRESSED: 2}
    run = create_run(mailing, counts, state=RunState.FINISHED, planned=10)
    for answer in ("5.2.2 mailbox full", "5.2.2 over quota", "5.1.1 no such user"):
        at = utcnow() - timedelta(minutes=5)
        delivery = DeliveryFactory.create(run=run, state=DeliveryState.FAILED, finished_at=at)
        AttemptFactory.create(delivery=delivery, at=at, outcome=Outcome.FAILED, code=550, answer=answer)
    return run


@pytest.mark.both_engines
@pytest.mark.parametrize("path", ["/mailings/{mailing}", "/mailings/runs/{run}"])
def test_a_run_is_summed_up_in_words_and_its_ledger_is_folded(
    browser: FlaskClient, run: Run, path: str
) -> None:
    response = browser.get(path.format(mailing=run.mailing_id, run=run.id))
    page = soup(response)
    assert "Delivered 5 62.5%" in get_main_text(response)
    assert not page.select(".run-headline"), "the tiles have its number"
    assert list_causes(page) == [
        "mailbox full: 2",
        "address does not exist: 1",
        "unsubscribed or excluded before sending: 2",
    ]
    (ledger,) = page.select("details#all-numbers")
    assert "open" not in ledger.attrs
    assert ledger.select_one("#ledger-sum")
    assert "Planned 10 = 0 + 0 + 0 + 5 + 3 + 0 + 2 + 0 + 0" in " ".join(ledger.get_text(" ").split())
    # Outcomes that did not occur are not mentioned.
    for word in ("Waiting", "To be retried", "Clicked", "Spam complaints", "0 failed"):
        assert word not in page.select(".outcome")[0].get_text(), word


@pytest.mark.one_engine
def test_the_ledger_says_how_many_delivered_emails_came_back(
    browser: FlaskClient, run: Run, session: Session
) -> None:
    run.returned = 2
    session.flush()
    page = soup(browser.get(f"/mailings/runs/{run.id}"))
    assert "delivered 5" in " ".join(page.select(".ledger")[0].get_text(" ").split())
    assert "2 delivered emails came back later." in page.select("#all-numbers")[0].get_text()
    assert "Delivered 3 37.5%" in " ".join(page.select(".outcome")[0].get_text(" ").split())


def test_a_ledger_that_does_not_add_up_is_open(browser: FlaskClient, run: Run, session: Session) -> None:
    run.planned = 9
    session.flush()
    (ledger,) = soup(browser.get(f"/mailings/runs/{run.id}")).select("details#all-numbers")
    assert "open" in ledger.attrs
    assert "Every email accounted for" not in ledger.get_text()


def test_a_run_that_is_being_sent_shows_its_remaining_letters(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(
        mailing,
        {
            DeliveryState.SENT: 3,
            DeliveryState.PENDING: 4,
            DeliveryState.DEFERRED: 2,
            DeliveryState.SENDING: 1,
        },
        state=RunState.SENDING,
    )
    listed = get_main_text(browser.get("/mailings/"))
    assert "30% done · 3 of 10 delivered" in listed, "the percentage is that of the work"
    text = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert "Delivered 3 of 10" in text
    assert "Waiting 4" in text
    assert "Being sent 1" in text
    assert "To be retried 2" in text
    assert "Not delivered" not in text


def test_reactions_are_shown_with_their_shares(browser: FlaskClient, run: Run, session: Session) -> None:
    run.track_clicks = True
    run.clicked, run.unsubscribed, run.complaints, run.returned = 2, 1, 1, 1
    session.flush()
    page = browser.get(f"/mailings/runs/{run.id}")
    text = get_main_text(page)
    for part in ("Clicked 2 50%", "Unsubscribed 1 25%", "Spam complaints 1 25%"):
        assert part in text, part
    assert "returned later: 1" in list_causes(soup(page))
    listed = get_main_text(browser.get("/mailings/"))
    assert "50% 50% 4 delivered, 4 not delivered, 2 not sent" in listed, "the same numbers"
    sends = get_main_text(browser.get(f"/mailings/{run.mailing_id}"))
    assert "4 delivered (50%), 4 not delivered, 2 not sent" in sends
    assert set(LATER_COUNTS) == {"clicked", "unsubscribed", "complaints", "returned"}


def test_result_pages_have_a_print_button(browser: FlaskClient, run: Run) -> None:
    for path in (f"/mailings/runs/{run.id}", "/reports/"):
        page = soup(browser.get(path))
        (button,) = page.select("button[data-print]")
        assert "only-script" in button["class"]
        assert page.select("script[src*='js/print.']")
