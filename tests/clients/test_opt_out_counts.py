"""Test which run counts a person who unsubscribes through the link in a letter."""

import csv
import io
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger import reconciliation, run_counts
from skymailing.extensions import db
from skymailing.models import Client, DeliveryState, Run, RunInterval, Topic, User
from skymailing.tokens import unsubscribe_token
from tests.mailings.pages import get_main_text
from tests.returns.scenes import Desk
from tests.returns.test_opt_outs import find_subject, write
from tests.support.factories import ClientFactory, DeliveryFactory, MailingFactory, RunFactory
from tests.support.signup_factories import TopicFactory


@pytest.fixture
def client(user: User) -> Client:
    client: Client = ClientFactory.create(owner=user)
    return client


def send(client: Client, topic: Topic | None = None, **values: object) -> Run:
    """Create a run that sent a letter to the client."""
    mailing = MailingFactory.create(owner=client.owner)
    at = utcnow() - timedelta(hours=1)
    run: Run = RunFactory.create(mailing=mailing, planned=1, started_at=at, topic_id=topic and topic.id)
    DeliveryFactory.create(**{"run": run, "client": client, "finished_at": at} | values)
    return run


def post(visitor: FlaskClient, app: Flask, client: Client, topic: Topic | None = None) -> str:
    """Unsubscribe the client; return the page."""
    with app.app_context():
        token = unsubscribe_token(client.owner_id, client.email_key, topic.id if topic else None)
    response = visitor.post(f"/u/{token}", headers={"Accept-Language": "en"})
    assert response.status_code == 200
    return response.text


def undo(visitor: FlaskClient, page: str) -> None:
    path, opt_out = re.search(r'action="(/u/[^"]+/undo)"', page), re.search(r'"opt_out" value="(\d+)"', page)
    assert path, page
    assert opt_out, page
    assert visitor.post(path[1], data={"opt_out": opt_out[1]}).status_code == 200


def read_counts(session: Session, *runs: Run) -> list[int]:
    """Return the count of each run, which is also the sum of its intervals."""
    session.expire_all()
    sums = select(RunInterval.run_id, func.sum(RunInterval.unsubscribed)).group_by(RunInterval.run_id)
    by_run = {run_id: int(total) for run_id, total in session.execute(sums)}
    assert [by_run.get(run.id, 0) for run in runs] == [run.unsubscribed for run in runs]
    return [run.unsubscribed for run in runs]


def test_the_last_run_counts_the_opt_out_and_an_undo_removes_it(
    app: Flask, session: Session, visitor: FlaskClient, client: Client
) -> None:
    earlier, last = send(client), send(client)
    unsent = send(client, state=DeliveryState.FAILED)
    for _click in range(2):
        page = post(visitor, app, client)
    assert read_counts(session, earlier, last, unsent) == [0, 1, 0]
    undo(visitor, page)
    assert read_counts(session, earlier, last, unsent) == [0, 0, 0]
    post(visitor, app, client)
    assert read_counts(session, earlier, last, unsent) == [0, 1, 0]


def test_a_topics_last_run_counts_its_opt_out_once_per_person(
    app: Flask, session: Session, visitor: FlaskClient, user: User, client: Client
) -> None:
    news = TopicFactory.create(owner=user)
    about_news, other = send(client, news), send(client)
    news_page = post(visitor, app, client, news)
    assert read_counts(session, about_news, other) == [1, 0]
    everything_page = post(visitor, app, client)
    assert read_counts(session, about_news, other) == [1, 1]
    undo(visitor, news_page)
    undo(visitor, everything_page)
    assert read_counts(session, about_news, other) == [0, 0]

    only = ClientFactory.create(owner=user)
    run = send(only, news)
    news_page = post(visitor, app, only, news)
    everything_page = post(visitor, app, only)
    assert read_counts(session, run) == [1], "the same person, in the same letter"
    undo(visitor, everything_page)
    assert read_counts(session, run) == [1]
    undo(visitor, news_page)
    assert read_counts(session, run) == [0]


def test_a_person_without_a_letter_is_not_counted(
    app: Flask, session: Session, visitor: FlaskClient, client: Client
) -> None:
    run = send(ClientFactory.create(owner=client.owner))
    post(visitor, app, client)
    assert read_counts(session, run) == [0]


def test_a_request_by_email_counts_once(app: Flask, session: Session, user: User, client: Client) -> None:
    desk = Desk(app, session, user)
    delivery = desk.send(client)
    for _letter in range(2):
        desk.ingest(write(find_subject(desk, delivery)))
    assert read_counts(session, delivery.run) == [1]


def test_the_count_is_shown_and_exported_and_a_recount_keeps_it(
    app: Flask, session: Session, visitor: FlaskClient, browser: FlaskClient, client: Client
) -> None:
    run = send(client)
    post(visitor, app, client)
    with app.app_context(), db.engine.begin() as connection:
        (key,) = run_counts.run_keys(connection, [run.id])
        reconciliation.recount(connection, key)
    assert read_counts(session, run) == [1]
    for page in (f"/mailings/{run.mailing_id}", f"/mailings/runs/{run.id}", "/reports/"):
        assert "Unsubscribed 1 100%" in get_main_text(browser.get(page)), page
    rows = csv.DictReader(io.StringIO(browser.get("/reports/report.csv").text.lstrip("\ufeff")))
    # There are two days if the letter was sent before midnight.
    assert sum(int(row["unsubscribed"]) for row in rows) == 1
