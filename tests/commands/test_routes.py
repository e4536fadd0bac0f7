"""Test `flask routes`, and how `flask doctor` reports a mail server that is not used."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.routing import routes
from skymailing.models import OwnerPause, User
from tests.delivery.conftest import Work
from tests.support.factories import create_clients, due_mailing
from tests.support.servers import SmtpServer

# Arguments and output do not depend on the database.
pytestmark = pytest.mark.one_engine

FAULT = "535 5.7.8 wrong password"


@pytest.fixture
def _shut(app: Flask, session: Session) -> None:
    with app.app_context():
        routes.report_fault(routes.PRIMARY, routes.Fault(535, FAULT), utcnow())


def run(app: Flask, *args: str) -> str:
    result = app.test_cli_runner().invoke(args=["routes", *args])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("_shut")
def test_a_shut_route_is_listed_with_its_fault_and_reopened(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer
) -> None:
    assert f"primary   127.0.0.1:{smtp.port}  shut off since" in run(app, "list")
    assert FAULT in run(app, "list")
    create_clients(user, 2)
    due_mailing(user)

    run(app, "reopen", "primary")
    assert run(app, "list").endswith("in use\n")
    work()

    assert len(smtp.letters) == 2


def test_an_unknown_route_is_rejected(app: Flask, session: Session) -> None:
    result = app.test_cli_runner().invoke(args=["routes", "reopen", "third"])

    assert result.exit_code == 1
    assert "no route third" in result.output


@pytest.mark.usefixtures("_shut")
def test_doctor_reports_a_shut_route_although_the_server_accepts_connections(
    app: Flask, smtp: SmtpServer
) -> None:
    result = app.test_cli_runner().invoke(args=["doctor", "--only", "mail-server"])

    assert result.exit_code == 1
    assert FAULT in result.output
    assert "flask routes reopen primary" in result.output


def test_users_whose_letters_are_refused_are_listed(app: Flask, session: Session, user: User) -> None:
    until = datetime(2026, 11, 28, 12, 4, tzinfo=UTC)
    session.add(
        OwnerPause(route=routes.PRIMARY, owner_id=user.id, until=until, seconds=60, reply="421 no links")
    )
    session.commit()
    assert f"refuses letters of {user.email}, next try at 12:04:00 UTC: 421 no links" in run(app, "list")
