"""Test the `flask sweep` command."""

from collections.abc import Callable

from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import MailingState, User
from tests.support.factories import MailingFactory, create_clients
from tests.support.servers import SmtpServer


def test_sweep_prints_due_work_and_wakes_workers(
    app: Flask, session: Session, user: User, work: Callable[[], None], smtp: SmtpServer
) -> None:
    create_clients(user, 2)
    MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=utcnow())

    result = app.test_cli_runner().invoke(args=["sweep"])
    work()

    assert result.exit_code == 0
    assert "Mailings to start now: 1" in result.output
    assert len(smtp.letters) == 2
