"""Test what is published of a run with an A/B test."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import DeliveryState, MessageFormat, Run, RunState, RunVariant, User
from tests.mailings.pages import get_main_text
from tests.support.factories import MailingFactory, create_tested_run

pytestmark = pytest.mark.one_engine


@pytest.fixture
def run(session: Session, shop: User) -> Run:
    """Return a run whose test is not decided yet."""
    counts = {DeliveryState.SENT: 2, DeliveryState.PENDING: 2}
    run = create_tested_run(MailingFactory.create(owner=shop), counts, subject="News")
    for number, text in ((1, "First offer"), (2, "Second offer")):
        variant = session.get_one(RunVariant, (run.id, number))
        variant.format, variant.body = MessageFormat.MARKDOWN, text
    run.format, run.body = MessageFormat.MARKDOWN, "First offer"
    session.flush()
    return run


def path_of(run: Run) -> str:
    return f"/mailings/archive/runs/{run.id}"


def test_nothing_is_published_before_the_decision(run: Run, owner: FlaskClient, visitor: FlaskClient) -> None:
    for response in (owner.get(path_of(run)), owner.post(path_of(run))):
        assert "The A/B test is not decided yet" in get_main_text(response)
    assert visitor.get("/archive/tea-shop/news").status_code == 404
    for page in (f"/mailings/runs/{run.id}", f"/mailings/{run.mailing_id}"):
        assert path_of(run) not in owner.get(page).text


def test_the_winner_is_published(
    session: Session, run: Run, owner: FlaskClient, visitor: FlaskClient
) -> None:
    run.winner, run.decision, run.decided_at = 2, "owner", utcnow()
    session.flush()
    assert path_of(run) in owner.get(f"/mailings/runs/{run.id}").text
    owner.post(path_of(run))
    assert "Second offer" in visitor.get("/archive/tea-shop/news").text


def test_a_test_that_ended_undecided_publishes_variant_a(
    session: Session, run: Run, owner: FlaskClient, visitor: FlaskClient
) -> None:
    run.state, run.finished_at = RunState.FINISHED, utcnow() + timedelta(hours=1)
    session.flush()
    owner.post(path_of(run))
    assert "First offer" in visitor.get("/archive/tea-shop/news").text
