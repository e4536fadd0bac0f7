"""Test how a run's page shows the state of the mail servers."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.delivery.routing import routes
from skymailing.models import BreakerState, OwnerPause, Route, User
from tests.mailings.pages import soup
from tests.mailings.running import NOW, PENDING, add_attempts, create_running, measure

# The state is described in Python.
pytestmark = pytest.mark.one_engine


def open_route(session: Session, name: str = routes.PRIMARY, **values: Any) -> None:
    defaults = {
        "state": BreakerState.OPEN,
        "opened_at": NOW - timedelta(minutes=8),
        "retry_at": NOW + timedelta(minutes=5),
        "faults_in_a_row": 5,
        "last_fault": "421 4.3.2 <shutting> down",
    }
    session.add(Route(name=name, **defaults | values))
    session.flush()


def test_a_server_that_accepts_no_letters_is_shown_with_its_reply(
    app: Flask, session: Session, user: User
) -> None:
    run = create_running(user, {PENDING: 5})
    add_attempts(run, [30.0, 20.0])
    assert measure(app, run)[1].routes == []
    open_route(session)
    progress, text = measure(app, run)
    assert text.routes == [
        "The mail server has not accepted emails since 11:52; next try at 12:05: 421 4.3.2 <shutting> down"
    ]
    assert (progress.is_blocked, progress.rate, text.forecast) == (True, None, "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"state": BreakerState.PROBING}, "has not accepted emails since 11:52 and is being tested: 421"),
        (
            {"state": BreakerState.CLOSED, "opened_at": None, "last_fault_at": NOW - timedelta(minutes=1)},
            "had an error at 11:59 and is being retried: 421",
        ),
        ({"opened_at": NOW - timedelta(days=1)}, ", 12:00; next try at 12:05"),
        ({"retry_at": NOW - timedelta(minutes=1)}, "next try at 12:00"),
    ],
)
def test_every_state_of_a_server_is_described(
    app: Flask, session: Session, user: User, values: dict[str, Any], expected: str
) -> None:
    run = create_running(user, {PENDING: 5})
    open_route(session, **values)
    (sentence,) = measure(app, run)[1].routes
    assert expected in sentence


def test_the_second_server_is_mentioned_while_it_is_used(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "MAIL_FALLBACK", SimpleNamespace())
    run = create_running(user, {PENDING: 5})
    add_attempts(run, [30.0, 20.0])
    open_route(session)
    progress, text = measure(app, run)
    assert text.routes[1:] == ["Emails are sent through the second mail server."]
    assert progress.rate, "letters are sent"
    open_route(session, routes.FALLBACK, last_fault="refused")
    progress, text = measure(app, run)
    assert text.routes[1:] == [
        "The second mail server has not accepted emails since 11:52; next try at 12:05: refused"
    ]
    assert progress.is_blocked


@pytest.mark.both_engines
def test_the_servers_reply_is_escaped(session: Session, user: User, browser: FlaskClient) -> None:
    run = create_running(user, {PENDING: 5})
    open_route(session, last_fault="554 <b>no</b>")
    page = browser.get(f"/mailings/{run.mailing_id}")
    assert "<b>no</b>" in soup(page).select("#routes")[0].get_text()


def test_limits_that_the_server_has_shown_are_explained(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {PENDING: 5})
    add_attempts(run, [30.0, 20.0])
    open_route(
        session,
        state=BreakerState.CLOSED,
        faults_in_a_row=0,
        pace=10.5,
        last_refusal="450 4.7.1 too much mail",
        step_by_step_since=NOW,
    )
    progress, text = measure(app, run)
    assert text.routes == [
        "The mail server asks us to slow down. Limit for now: 10 emails per second. "
        "Its reply: 450 4.7.1 too much mail",
        "The mail server offers PIPELINING, but it does not work. "
        "Emails are sent without it, which is slower.",
    ]
    assert text.server == "connected"
    assert progress.rate


def test_a_server_that_refuses_only_this_users_letters_is_explained(
    app: Flask, session: Session, user: User
) -> None:
    run = create_running(user, {PENDING: 5})
    open_route(session, state=BreakerState.CLOSED, faults_in_a_row=0)
    pause = OwnerPause(
        route=routes.PRIMARY,
        owner_id=user.id,
        until=NOW + timedelta(minutes=4),
        seconds=240,
        reply="421 not with these links",
    )
    session.add(pause)
    session.flush()
    progress, text = measure(app, run)
    assert text.routes == [
        "The mail server refuses your emails for now, but accepts those of other users; "
        "next try at 12:04: 421 not with these links"
    ]
    assert (progress.is_blocked, progress.routes[0].condition) == (True, "paused")
    pause.until = NOW
    session.flush()
    assert measure(app, run)[1].routes == []
