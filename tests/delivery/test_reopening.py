"""Test that a corrected password is used at once: after a restart, or after `flask routes reopen`."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.commands.processes import reopen_changed_routes
from skymailing.delivery.routing import pace, reopening, routes
from skymailing.models import BreakerState, Route, User
from tests.delivery.conftest import Work
from tests.support.factories import create_clients, due_mailing
from tests.support.servers import SmtpServer

# The effects of changed settings are decided in Python.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def route(app: Flask, session: Session) -> Callable[[], Route]:
    def read_route() -> Route:
        session.expire_all()
        return session.execute(select(Route)).scalar_one()

    return read_route


def refuse_password(app: Flask, reason: str = "535 5.7.8 wrong password") -> None:
    with app.app_context():
        routes.report_fault(routes.PRIMARY, routes.Fault(535, reason), utcnow())


@pytest.mark.both_engines
def test_a_start_with_changed_settings_sends_at_once(
    app: Flask,
    session: Session,
    user: User,
    work: Work,
    sweep: Work,
    smtp: SmtpServer,
    route: Callable[[], Route],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_clients(user, 3)
    due_mailing(user)
    monkeypatch.setattr(app.extensions["mail"], "password", "old")
    with app.app_context():
        reopening.reopen_changed()
    refuse_password(app)
    sweep()
    assert smtp.letters == []

    monkeypatch.setattr(app.extensions["mail"], "password", "new")
    with app.app_context():
        reopen_changed_routes()
    work()

    assert len(smtp.letters) == 3
    assert route().state is BreakerState.CLOSED


def test_a_start_with_the_same_settings_keeps_what_was_learned(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    with app.app_context():
        reopening.reopen_changed()
        pace.slow_down(routes.PRIMARY, "450 4.7.1 slow down", 20.0, utcnow())
    refuse_password(app)
    with app.app_context():
        assert reopening.reopen_changed() == []

    assert (route().state, route().pace) == (BreakerState.OPEN, 14.0)


def test_changed_settings_forget_the_pace(
    app: Flask, session: Session, route: Callable[[], Route], monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        reopening.reopen_changed()
        pace.slow_down(routes.PRIMARY, "450 4.7.1 slow down", 20.0, utcnow())
        monkeypatch.setattr(app.extensions["mail"], "server", "other.example")
        reopening.reopen_changed()

    assert (route().pace, route().paused_until) == (None, None)


def test_the_password_cannot_be_read_from_the_digest(
    app: Flask, session: Session, route: Callable[[], Route], monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for key in ("one", "two"):
        monkeypatch.setitem(app.config, "SECRET_KEY", key)
        with app.app_context():
            reopening.reopen_changed()
        digests.append(route().settings_digest)

    assert digests[0] != digests[1], "it depends on a key that is not in the database"


@pytest.mark.parametrize(
    ("reason", "is_shut"),
    [
        ("535 5.7.8 wrong password", True),
        ("535 wrong password", True),
        ("535 5.7.8 the account is temporarily locked", True),
        ("535 4.7.0 try again later", False),
        ("535 Temporary authentication failure", False),
    ],
)
def test_only_a_permanent_refusal_of_the_password_shuts_the_route(
    app: Flask, session: Session, reason: str, is_shut: bool
) -> None:
    refuse_password(app, reason)
    with app.app_context():
        admission = routes.admit(routes.PRIMARY, utcnow() + timedelta(minutes=10), owner_id=1).admission

    assert admission is (routes.Admission.REFUSED if is_shut else routes.Admission.FREE)
