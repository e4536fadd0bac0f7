"""Send a mailing through a real mail server that refuses some letters at first."""

import logging
import time

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.models import Attempt, Outcome, Route, User
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.workers import add_clients, live_run
from tests.processes.service import wait_until
from tests.support.factories import due_mailing
from tests.support.mail_servers import MailServer

logger = logging.getLogger(__name__)


def send_with_two_workers(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    user: User,
    server: MailServer,
    letters: int,
) -> float:
    """Send a mailing that must reach each client once, at the first attempt; return the seconds it took."""
    add_clients(session, user, letters)
    settings = environment | {"MAIL_PORT": str(server.port), "WORKERS": "2"}
    with live_run(app, settings, session, due_mailing(user)) as run:
        wait_until(lambda: bool(server.accepted()), "the first letter", 60)
        start = time.monotonic()
        run.finish(240)
        seconds = time.monotonic() - start

    assert count_states(session, get_only_run(session)) == {"sent": letters}
    accepted = server.wait_for_accepted(letters)
    assert len(accepted) == letters
    assert set(accepted.values()) == {1}
    assert set(session.scalars(select(Attempt.outcome))) == {Outcome.SENT}
    assert session.scalar(select(func.count()).select_from(Attempt)) == letters
    assert session.execute(select(Route)).scalar_one().faults_in_a_row == 0
    logger.info("%d letters in %.0f s, %d refused", letters, seconds, server.refused_senders())
    return seconds
