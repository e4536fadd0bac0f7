"""Test the panel's list of all users' mailings: its order, and the results of their last runs."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import DeliveryState, MailingState, Role, RunState, StateReason
from tests.conftest import SignIn
from tests.mailings.pages import soup
from tests.support.factories import MailingFactory, UserFactory, create_run
from tests.support.statements import record_statements

PATH = "/manager/mailings/"


@pytest.fixture
def panel(sign_in: SignIn, session: Session) -> FlaskClient:
    """Return a browser in which a manager is signed in."""
    return sign_in(UserFactory.create(role=Role.MANAGER))


def test_mailings_are_listed_by_their_start_with_the_last_result(panel: FlaskClient) -> None:
    now = utcnow()
    for name, days in (("Old", -9), ("New", -1), ("Oldest", -20)):
        mailing = MailingFactory.create(name=name, starts_at=now + timedelta(days=days))
    counts = {DeliveryState.SENT: 3, DeliveryState.FAILED: 1, DeliveryState.UNKNOWN: 1}
    create_run(mailing, {DeliveryState.SENT: 9}, scheduled_for=now - timedelta(days=20))
    run = create_run(
        mailing,
        counts,
        scheduled_for=now - timedelta(days=19),
        state=RunState.FINISHED,
        track_clicks=True,
        clicked=1,
    )
    page = soup(panel.get(PATH))
    assert [link.get_text() for link in page.select("tbody .cell-main a")] == ["New", "Old", "Oldest"]
    results = [" ".join(cell.get_text().split()) for cell in page.select("tbody .row-result")]
    assert results == ["–", "–", "3 delivered, 1 not delivered, 1 unclear"]
    shares = [cell.get_text(strip=True) for cell in page.select("tbody .number")]
    assert shares == ["–", "–", "–", "–", "60%", "33.3%"], "delivered and clicked"
    assert soup(panel.get(f"{PATH}{mailing.id}/")).select(f'a[href="/manager/runs/{run.id}/"]')


def test_the_shares_are_those_of_the_last_send_in_which_a_server_was_offered_a_letter(
    panel: FlaskClient,
) -> None:
    now = utcnow()
    mailing = MailingFactory.create()
    ended = {DeliveryState.SENT: 3, DeliveryState.FAILED: 1}
    create_run(mailing, ended, scheduled_for=now - timedelta(days=7), state=RunState.FINISHED)
    sending = {DeliveryState.SENT: 1, DeliveryState.PENDING: 4}
    create_run(mailing, sending, scheduled_for=now, state=RunState.SENDING)
    page = soup(panel.get(PATH))
    assert [cell.get_text(strip=True) for cell in page.select("tbody .number")] == ["100%", "–"]
    (result,) = page.select("tbody .row-result")
    assert " ".join(result.get_text().split()) == "20% done · 1 of 5 delivered"
    assert result.select(".run-bar")
    waiting = {DeliveryState.PENDING: 4}
    create_run(mailing, waiting, scheduled_for=now + timedelta(hours=1), state=RunState.SENDING)
    page = soup(panel.get(PATH))
    assert [cell.get_text(strip=True) for cell in page.select("tbody .number")] == ["75%", "–"]


def test_a_mailing_that_did_not_run_has_the_reason_as_its_result(panel: FlaskClient) -> None:
    MailingFactory.create(state=MailingState.FINISHED, state_reason=StateReason.WINDOW_OVER)
    (result,) = soup(panel.get(PATH)).select("tbody .row-result")
    assert result.get_text() == "The mailing ended before it could start, so nothing was sent."


@pytest.mark.parametrize(
    ("query", "count"),
    [("q=a", 0), ("owner=a", 1), ("refused=yes", 0), ("refused=yes&state=paused", 2)],
)
def test_folds_of_the_filter_are_open_if_no_quick_filter_explains_the_list(
    panel: FlaskClient, query: str, count: int
) -> None:
    """Phones fold all fields but the first, and other screens those that are rarely used."""
    page = soup(panel.get(f"{PATH}?{query}"))
    assert len(page.select(".filter-more")) == 2
    assert len(page.select(".filter-more[open]")) == count


def test_more_results_need_no_more_queries(panel: FlaskClient, session: Session) -> None:
    numbers = []
    for _round in range(2):
        for _number in range(5):
            create_run(MailingFactory.create(), {DeliveryState.SENT: 1})
        session.flush()
        session.expunge_all()
        with record_statements() as statements:
            page = panel.get(PATH).text
        numbers.append(len(statements))
    assert (page.count("1 delivered"), page.count(">100%<")) == (10, 10)
    assert numbers[0] == numbers[1] > 0, numbers
