"""Test that SQLite plans large runs in batches, without losing or repeating a letter."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import hints, jobs
from skymailing.clock import utcnow
from skymailing.delivery import plan, plan_batches
from skymailing.models import (
    Audience,
    Client,
    Delivery,
    Mailing,
    MailingAudience,
    MailingState,
    Run,
    RunInterval,
    RunState,
    Segment,
    StateReason,
    SuppressionReason,
    User,
)
from tests.mailings.pages import mailing_fields
from tests.support.factories import ClientFactory, SuppressionFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.both_engines
CLIENTS = 25
only_on_sqlite = pytest.mark.only_on("sqlite", reason="PostgreSQL plans a run in one transaction")


@pytest.fixture
def mailing(user: User, monkeypatch: pytest.MonkeyPatch) -> Mailing:
    monkeypatch.setattr(plan_batches, "BATCH", 10)
    clients = create_clients(user, CLIENTS)
    for client in (clients[3], clients[14], clients[24]):
        SuppressionFactory.create(
            owner_id=user.id, email_key=client.email_key, reason=SuppressionReason.UNSUBSCRIBED
        )
    return due_mailing(user)


def start(app: Flask, mailing: Mailing) -> None:
    with app.app_context():
        assert plan.start_due_run(mailing.id, utcnow()) is not None


@pytest.fixture
def begun(app: Flask, mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> Mailing:
    """Return a mailing whose worker has died after the first batch."""
    with monkeypatch.context() as patch:
        patch.setattr(plan_batches, "plan_rest", lambda _run_id, _now: None)
        start(app, mailing)
    return mailing


def read_run(session: Session) -> Run:
    session.expire_all()
    return session.scalars(select(Run)).one()


def check_complete(session: Session, planned: int = CLIENTS) -> None:
    run = read_run(session)
    assert (run.planned, run.plan_after, run.plan_until) == (planned, None, None)
    letters = select(Delivery.client_id).where(Delivery.run_id == run.id)
    assert (
        sorted(filter(None, session.scalars(letters))) == sorted(session.scalars(select(Client.id)))[:planned]
    )
    sums = select(func.sum(RunInterval.planned), func.sum(RunInterval.suppressed))
    assert session.execute(sums).one() == (planned, 3)


def test_every_client_gets_one_letter(app: Flask, session: Session, mailing: Mailing) -> None:
    start(app, mailing)
    check_complete(session)
    with app.app_context():
        plan_batches.plan_rest(read_run(session).id, utcnow())
    check_complete(session)


@only_on_sqlite
def test_a_sweep_plans_the_rest_after_a_crash(
    app: Flask, session: Session, user: User, begun: Mailing
) -> None:
    assert read_run(session).planned == 10
    ClientFactory.create(owner=user)  # too late for this run
    with app.app_context():
        jobs.run_sweep(utcnow())
    check_complete(session)


@only_on_sqlite
def test_an_audience_that_breaks_in_the_meantime_pauses_the_mailing(
    app: Flask, session: Session, user: User, begun: Mailing
) -> None:
    segment = Segment(owner_id=user.id, name="Odd", conditions={"field": "email", "op": "unknown"})
    session.add(segment)
    session.flush()
    begun.audience = Audience.SEGMENTS
    session.add(MailingAudience(mailing_id=begun.id, position=0, segment_id=segment.id, is_excluded=False))
    session.commit()
    with app.app_context():
        plan_batches.plan_rest(read_run(session).id, utcnow())
        assert not plan.finish_run(read_run(session).id, utcnow())
    session.refresh(begun)
    assert (begun.state, begun.state_reason) == (MailingState.PAUSED, StateReason.AUDIENCE_BROKEN)
    segment.conditions = {"field": "email", "op": "is_set"}
    session.commit()
    with app.app_context():
        jobs.run_sweep(utcnow())
    check_complete(session)


@only_on_sqlite
def test_a_mailing_is_not_changed_while_its_run_is_planned(
    app: Flask, browser: FlaskClient, session: Session, begun: Mailing
) -> None:
    fields = mailing_fields(begun.message, name="Changed")
    page = browser.post(f"/mailings/{begun.id}/edit", data=fields, follow_redirects=True)
    assert "The mailing is being prepared" in page.text
    session.refresh(begun)
    assert begun.name != "Changed"


@only_on_sqlite
def test_a_run_is_not_finished_before_it_is_completely_planned(
    app: Flask,
    session: Session,
    begun: Mailing,
    smtp: SmtpServer,
    work: Callable[[], None],
) -> None:
    with app.app_context():
        hints.hint_run(read_run(session).id)
    work()
    assert len(smtp.letters) == 9, "the letters of the first batch are sent at once"
    with app.app_context():
        assert not plan.finish_run(read_run(session).id, utcnow())
    assert read_run(session).state is RunState.SENDING
    with app.app_context():
        jobs.run_sweep(utcnow())
    work()
    assert len(smtp.letters) == CLIENTS - 3
    assert read_run(session).state is RunState.FINISHED
    check_complete(session)


@only_on_sqlite
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_no_letters_are_added_once_the_mailing_is_over(
    app: Flask, session: Session, begun: Mailing, is_cancelled: bool
) -> None:
    session.refresh(begun)
    if is_cancelled:
        begun.state = MailingState.CANCELLED
    else:
        begun.ends_at = utcnow() - timedelta(seconds=1)
    session.flush()
    with app.app_context():
        jobs.run_sweep(utcnow())
    run = read_run(session)
    assert (run.planned, run.plan_after) == (10, None)
    assert run.state is (RunState.CANCELLED if is_cancelled else RunState.FINISHED)
