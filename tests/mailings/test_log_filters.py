"""Test that logs find rare attempts, and do so without reading all the others."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.clients.deletion import delete_clients
from skymailing.clients.merging import merge_clients
from skymailing.clients.search.index import index_batch
from skymailing.clients.services import ClientValues, update_client
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import log_addresses, log_periods
from skymailing.mailings.log_queries import LogFilter, list_attempts
from skymailing.models import Client, Mailing, Outcome, Run, User
from tests.mailings.test_logs import find_addresses
from tests.support.factories import (
    AttemptFactory,
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    UserFactory,
)

pytestmark = pytest.mark.both_engines
ACTOR = Actor(None, "tests")


@pytest.fixture
def mailing(user: User) -> Mailing:
    mailing: Mailing = MailingFactory.create(owner=user, name="Осень")
    return mailing


@pytest.fixture
def run(mailing: Mailing) -> Run:
    run: Run = RunFactory.create(mailing=mailing, scheduled_for=utcnow())
    return run


def send(run: Run, *emails: str, **values: object) -> list[Client]:
    """Add clients with a letter and an attempt each."""
    clients = [ClientFactory.create(owner=run.mailing.owner, email=email) for email in emails]
    for client in clients:
        AttemptFactory.create(delivery=DeliveryFactory.create(run=run, client=client), **values)
    return clients


def index_clients(app: Flask) -> None:
    with app.app_context():
        while index_batch():
            db.session.commit()
        db.session.commit()


def test_a_complete_address_finds_its_letters_only(browser: FlaskClient, run: Run) -> None:
    send(run, "anna@example.com", "joanna@example.com")
    other = RunFactory.create(mailing=MailingFactory.create(owner=UserFactory.create()))
    send(other, "anna@example.com")

    assert find_addresses(browser.get("/logs/?q=Anna@Example.com")) == ["anna@example.com"]
    assert find_addresses(browser.get("/logs/?q=anna@example")) == ["joanna@example.com", "anna@example.com"]
    assert find_addresses(browser.get("/logs/?q=missing@example.com")) == []


def test_addresses_that_clients_no_longer_have_are_found(
    app: Flask, session: Session, user: User, browser: FlaskClient, run: Run
) -> None:
    renamed, merged, kept, deleted = send(
        run, "renamed@old.example", "merged@old.example", "kept@new.example", "deleted@old.example"
    )
    with app.app_context():
        for address in ("middle@new.example", "last@new.example"):
            update_client(db.session.get_one(Client, renamed.id), ClientValues(address))
        winner, loser = (db.session.get_one(Client, id) for id in (kept.id, merged.id))
        merge_clients(winner, loser, utcnow(), ACTOR)
        delete_clients(user.id, [deleted.id], utcnow(), ACTOR)
        db.session.commit()
    index_clients(app)

    for name in ("renamed", "merged", "deleted"):
        for query in (f"{name}@old.example", f"{name}@old"):
            rows = browser.get(f"/logs/?q={query}")
            assert f"{name}@old.example" in rows.text, query
            assert rows.text.count("@old.example</") == 1, query
    assert find_addresses(browser.get("/logs/?q=middle@new.example")) == [], "it got no letters"


def test_a_part_of_many_addresses_is_found_as_well(
    app: Flask, browser: FlaskClient, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_addresses, "MAX_CLIENTS", 2)
    send(run, *(f"client{number}@example.com" for number in range(4)))
    index_clients(app)

    assert len(find_addresses(browser.get("/logs/?q=client"))) == 4
    assert len(find_addresses(browser.get("/logs/?q=client3@ex"))) == 1


def test_letters_without_a_client_are_limited(
    app: Flask, session: Session, browser: FlaskClient, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_addresses, "MAX_DETACHED", 1)
    send(run, "anna@example.com", "boris@example.com", "vera@example.com")
    session.execute(text("UPDATE deliveries SET client_id = NULL"))

    for query in ("anna@exam", "anna@example.com"):
        page = browser.get(f"/logs/?q={query}").text
        assert "anna@example.com</" in page
        assert "boris@example.com</" not in page


def test_a_period_finds_the_attempts_of_long_runs(browser: FlaskClient, mailing: Mailing) -> None:
    now = utcnow().replace(hour=12)
    early = RunFactory.create(
        mailing=mailing, started_at=now - timedelta(days=9), scheduled_for=now - timedelta(days=9)
    )
    late = RunFactory.create(
        mailing=mailing, started_at=now - timedelta(days=4), scheduled_for=now - timedelta(days=4)
    )
    send(early, "first@example.com", at=now - timedelta(days=9))
    send(late, "second@example.com", at=now - timedelta(days=4))
    send(early, "third@example.com", at=now - timedelta(days=1))

    def find(since: int, until: int) -> list[str]:
        days = [f"{now - timedelta(days=number):%Y-%m-%d}" for number in (since, until)]
        found = [
            find_addresses(browser.get(f"{page}?since={days[0]}&until={days[1]}"))
            for page in ("/logs/", f"/mailings/{mailing.id}/log")
        ]
        assert found[0] == found[1]
        return found[0]

    assert find(9, 9) == ["first@example.com"]
    assert find(5, 3) == ["second@example.com"]
    assert find(4, 0) == ["third@example.com", "second@example.com"]
    assert find(8, 5) == []


def test_a_period_with_too_many_runs_is_read_without_bounds(
    browser: FlaskClient, mailing: Mailing, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_periods, "MAX_RUNS", 0)
    send(run, "anna@example.com")
    assert find_addresses(browser.get(f"/logs/?since={utcnow():%Y-%m-%d}")) == ["anna@example.com"]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_is_found_in_each_log(browser: FlaskClient, run: Run, outcome: Outcome) -> None:
    for other in Outcome:
        send(run, f"{other}@example.com", outcome=other)
    pages = (f"/mailings/{run.mailing_id}/log?run={run.id}&", f"/mailings/{run.mailing_id}/log?", "/logs/?")
    for page in pages:
        assert find_addresses(browser.get(f"{page}outcome={outcome}")) == [f"{outcome}@example.com"]


@pytest.mark.parametrize("scope", ["owner", "mailing", "run"])
def test_a_rare_outcome_is_read_from_its_index(app: Flask, run: Run, scope: str) -> None:
    send(run, "anna@example.com", outcome=Outcome.FAILED)
    mailing_id, run_id = run.mailing_id if scope != "owner" else None, run.id if scope == "run" else None
    log_filter = LogFilter(run.mailing.owner_id, mailing_id, run_id, Outcome.UNKNOWN)

    assert f"ix_attempts_not_sent_{'owner' if scope == 'owner' else 'mailing'}" in explain(app, log_filter)


def test_letters_to_an_address_are_read_through_its_client(app: Flask, run: Run) -> None:
    send(run, "anna@example.com")
    plan = explain(app, LogFilter(run.mailing.owner_id, address="anna@example.com"))
    assert "ix_attempts_owner_id_id" not in plan, plan
    assert "delivery_id" in plan, plan


def explain(app: Flask, log_filter: LogFilter) -> str:
    """Return the plan of the query for a page of the log."""
    plans: list[str] = []
    with app.app_context():
        connection = db.session.connection()
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            # Small tables are read from start to end otherwise.
            connection.execute(text("SET LOCAL enable_seqscan = off"))

        def note(_connection: object, cursor: object, statement: str, values: object, *_rest: object) -> None:
            if "JOIN deliveries" in statement:
                seen.append((statement, values))

        seen: list[tuple[str, object]] = []
        event.listen(connection, "before_cursor_execute", note)
        list_attempts(log_filter, None)
        event.remove(connection, "before_cursor_execute", note)
        prefix = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        for statement, values in seen:
            plans += map(str, connection.exec_driver_sql(f"{prefix} {statement}", values))  # type: ignore[arg-type]
        db.session.rollback()
    return "\n".join(plans)
