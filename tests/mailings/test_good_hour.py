"""The suggested start: the weekday and the hours in which people clicked most."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.mailings.good_hour import GoodHour, find_good_hour
from skymailing.models import Mailing, MailingState, Run, RunInterval, User
from tests.conftest import SignIn
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import MailingFactory, RunFactory, UserFactory

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday
TUESDAY = datetime(2026, 11, 17, tzinfo=UTC)
TEN = timedelta(hours=4, minutes=15)  # 10:00 in Kathmandu
HINT = "Best time for clicks"

Find = Callable[[datetime], GoodHour | None]


@pytest.fixture
def user(session: Session) -> User:
    user: User = UserFactory.create(timezone="Asia/Kathmandu")  # 5:45 ahead of UTC
    return user


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    return sign_in(user)


@pytest.fixture
def run(user: User) -> Run:
    run: Run = RunFactory.create(mailing__owner=user, mailing__starts_at=TUESDAY)
    return run


@pytest.fixture
def find(app: Flask, user: User) -> Find:
    def find(now: datetime) -> GoodHour | None:
        with app.app_context():
            return find_good_hour(user, now)

    return find


def add_clicks(session: Session, run: Run, at: datetime, people: int) -> None:
    """Count first clicks in an interval of fifteen minutes."""
    key = {"run_id": run.id, "mailing_id": run.mailing_id, "owner_id": run.mailing.owner_id}
    session.add(RunInterval(**key, begins_at=at, elapsed=900, clicked=people))
    session.flush()


def test_the_start_is_when_the_three_hours_with_most_clicks_begin_next(
    session: Session, run: Run, find: Find
) -> None:
    # From 10:00 to 13:00 in Kathmandu, and at other times.
    for minutes, people in ((0, 30), (45, 20), (165, 12), (180, 20), (24 * 60, 18)):
        add_clicks(session, run, TUESDAY + TEN + timedelta(minutes=minutes), people)
    starts_at = TUESDAY + timedelta(days=14) + TEN
    assert find(NOW) == GoodHour(starts_at, starts_at + timedelta(hours=3), people=62, total=100)
    # If these hours begin within minutes, the form may not be finished in time.
    assert find(starts_at - timedelta(minutes=20)) == find(NOW)
    later = find(starts_at - timedelta(minutes=10))
    assert later is not None
    assert later.starts_at == starts_at + timedelta(days=7)


@pytest.mark.parametrize(("at", "people"), [(TUESDAY, 99), (NOW - timedelta(days=91), 500)])
def test_few_or_old_clicks_suggest_nothing(
    session: Session, run: Run, find: Find, at: datetime, people: int
) -> None:
    add_clicks(session, run, at, people)
    assert find(NOW) is None


def test_clicks_at_all_times_suggest_nothing(session: Session, run: Run, find: Find) -> None:
    for hour in range(7 * 24):
        add_clicks(session, run, TUESDAY + timedelta(hours=hour), 10)
    assert find(NOW) is None


def test_other_owners_clicks_suggest_nothing(session: Session, find: Find) -> None:
    add_clicks(session, RunFactory.create(), TUESDAY, 500)
    assert find(NOW) is None


def test_the_form_offers_the_start_until_the_mailing_has_run(
    session: Session, browser: FlaskClient, user: User, run: Run
) -> None:
    today = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)
    tuesday = today - timedelta(days=(today.weekday() - 1) % 7 + 7)
    add_clicks(session, run, tuesday + TEN, 150)
    page = browser.get("/mailings/new")
    text = f"{HINT}: Tuesday, 10:00–13:00 (100% of clicks in the last 90 days)."
    assert text in get_main_text(page)
    button = soup(page).select_one("[data-start]")
    assert button is not None
    start = datetime.fromisoformat(str(button["data-start"]))
    assert (start.isoweekday(), start.hour, start.minute) == (2, 10, 0)
    sent: Mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, starts_at=TUESDAY)
    RunFactory.create(mailing=sent)
    assert HINT not in browser.get(f"/mailings/{sent.id}/edit").text
