"""Read the results of an A/B test, and choose its winner."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import (
    Decision,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Run,
    RunState,
    User,
)
from skymailing.retention.batches import TimeBudget
from skymailing.retention.details import remove_old_details
from tests.conftest import SignIn
from tests.delivery.tested import click
from tests.mailings.pages import (
    format_local,
    get_main_text,
    soup,
)
from tests.support.factories import (
    AttemptFactory,
    MailingFactory,
    UserFactory,
    create_tested_run,
)

pytestmark = pytest.mark.one_engine

IN_THREE_HOURS, IN_THREE_DAYS = (format_local(utcnow() + timedelta(hours=count)) for count in (3, 72))
SENT, PENDING = DeliveryState.SENT, DeliveryState.PENDING


def read_counts(page: TestResponse) -> list[list[str]]:
    """Return the numbers of clients, of sent and unsent letters, and of clicks in each row."""
    rows = soup(page).select("#variants tbody tr")
    return [[cell.get_text(strip=True) for cell in row.select("td")[:4]] for row in rows]


@pytest.fixture
def run(session: Session, user: User) -> Run:
    """Return a run with ten clients in the sample of each of two variants, and ten who are waiting."""
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING, sample_percent=0)
    run = create_tested_run(mailing, {SENT: 20, PENDING: 10}, track_clicks=True, subject="Autumn")
    deliveries = session.scalars(
        select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)
    ).all()
    for number, delivery in enumerate(deliveries[:20]):
        delivery.variant = 1 + number % 2
    click(session, run, deliveries[1:6:2])
    return run


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", ("10 clients are waiting. Choose which variant they get, by", "Waiting for the winner")),
        ("ru", ("Ждут 10 клиентов. Выберите для них вариант до", "Ждут победителя")),
    ],
)
def test_the_page_shows_the_results(
    browser: FlaskClient, session: Session, user: User, run: Run, locale: str, texts: tuple[str, ...]
) -> None:
    user.locale = locale
    session.flush()
    for address in (f"/mailings/runs/{run.id}", f"/mailings/{run.mailing_id}"):
        page = browser.get(address)
        (section,) = soup(page).select("#test")
        for text in texts:
            assert text in " ".join(section.get_text(" ").split())
        rows = read_counts(page)
        assert rows == [["10", "10", "0", "0"], ["10", "10", "0", "3"], ["10", "0", "10", "0"]]
        assert sum(int(row[0]) for row in rows) == run.planned


def test_an_owner_chooses_the_winner(browser: FlaskClient, session: Session, run: Run) -> None:
    page = browser.post(f"/mailings/runs/{run.id}/winner", data={"variant": "2"}, follow_redirects=True)
    assert "The other clients get variant B." in page.text
    session.refresh(run)
    assert (run.winner, run.decision) == (2, Decision.OWNER)
    assert run.decided_at
    assert "You chose variant B." in get_main_text(page)
    assert not soup(page).select("#variants button")


def test_a_choice_is_final(browser: FlaskClient, session: Session, run: Run) -> None:
    address = f"/mailings/runs/{run.id}/winner"
    browser.post(address, data={"variant": "2"})
    page = browser.post(address, data={"variant": "1"}, follow_redirects=True)
    assert "The winner has already been chosen: the other clients get variant B." in page.text
    session.refresh(run)
    assert run.winner == 2


@pytest.mark.parametrize("variant", ["3", "0", "x", ""])
def test_only_a_variant_of_the_test_can_be_chosen(
    browser: FlaskClient, session: Session, run: Run, variant: str
) -> None:
    page = browser.post(f"/mailings/runs/{run.id}/winner", data={"variant": variant}, follow_redirects=True)
    assert "This variant does not exist." in page.text
    session.refresh(run)
    assert run.winner is None


@pytest.mark.parametrize(
    "values",
    [
        {"state": MailingState.CANCELLED},
        {"ends_at": utcnow() - timedelta(hours=1)},
        {"disabled_at": utcnow()},
    ],
)
def test_no_winner_can_be_chosen_when_nothing_may_be_sent(
    browser: FlaskClient, session: Session, run: Run, values: dict[str, Any]
) -> None:
    mailing = session.get_one(Mailing, run.mailing_id)
    for name, value in values.items():
        setattr(mailing, name, value)
    session.flush()
    browser.post(f"/mailings/runs/{run.id}/winner", data={"variant": "2"})
    session.refresh(run)
    assert run.winner is None
    assert not soup(browser.get(f"/mailings/runs/{run.id}")).select("#variants button")


def test_another_owners_test_is_not_found(sign_in: SignIn, session: Session, run: Run) -> None:
    other = sign_in(UserFactory.create())
    assert other.post(f"/mailings/runs/{run.id}/winner", data={"variant": "2"}).status_code == 404
    session.refresh(run)
    assert run.winner is None


def test_the_results_outlive_the_details(
    app: Flask, browser: FlaskClient, session: Session, run: Run
) -> None:
    run.state, run.winner, run.decision = RunState.FINISHED, 2, Decision.CLICKS
    run.finished_at = utcnow() - timedelta(days=400)
    session.flush()
    with app.app_context():
        remove_old_details(utcnow() - timedelta(days=300), utcnow(), TimeBudget(60))
    session.expire_all()
    assert session.scalars(select(Delivery)).all() == []
    page = browser.get(f"/mailings/runs/{run.id}")
    assert read_counts(page)[:2] == [["10", "10", "0", "0"], ["10", "10", "0", "3"]]
    assert "B won" in get_main_text(page)


def test_the_log_names_the_variants(browser: FlaskClient, session: Session, run: Run) -> None:
    delivery = session.scalars(select(Delivery).where(Delivery.variant == 2)).first()
    AttemptFactory.create(delivery=delivery)
    untested = MailingFactory.create(owner=run.mailing.owner)
    address = f"/mailings/{run.mailing_id}/log"
    assert [cell.text for cell in soup(browser.get(address)).select('td[data-label="Variant"]')] == ["B"]
    header, row = browser.get(f"{address}.csv").text.lstrip("\ufeff").splitlines()[:2]
    assert header.endswith('"answer","variant"')
    assert row.endswith(',"B"')
    plain = browser.get(f"/mailings/{untested.id}/log.csv").text.splitlines()[0]
    assert plain.endswith('"answer"')


def test_a_mailing_with_waiting_clients_is_not_shown_as_sent(
    browser: FlaskClient, session: Session, run: Run
) -> None:
    address = f"/mailings/{run.mailing_id}/edit"
    assert "This one-time mailing is being sent" in get_main_text(browser.get(address))
    run.state, run.winner = RunState.FINISHED, 1
    session.flush()
    assert "This one-time mailing has already been sent" in get_main_text(browser.get(address))
