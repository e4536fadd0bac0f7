"""Test blocking a user or disabling a mailing during a large run, with real worker processes."""

import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Client, Delivery, DeliveryState, Mailing, MailingState, Role, RunState, User
from tests.conftest import SignIn
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.workers import run_workers
from tests.processes.service import wait_until
from tests.support.factories import MailingFactory, UserFactory
from tests.support.servers import SmtpServer

RECIPIENTS = 12_000
STOP_AFTER = 500  # letters
MAX_STOP_SECONDS = 2.0  # after the manager's click


def create_large_mailing(app: Flask, user: User) -> Mailing:
    addresses = [f"c{number}@example.org" for number in range(RECIPIENTS)]
    rows = [{"owner_id": user.id, "email": address, "email_key": address} for address in addresses]
    with app.app_context():  # in one transaction, because the test's session is in autocommit mode
        db.session.execute(insert(Client), rows)
        db.session.commit()
    mailing: Mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=utcnow())
    return mailing


def wait_for_last_letter(smtp: SmtpServer, quiet: float = 1.5) -> float:
    """Wait until no letters arrive for `quiet` seconds; return the monotonic time of the last letter."""
    count, changed = len(smtp.letters), time.monotonic()
    while time.monotonic() - changed < quiet:
        time.sleep(0.02)
        if len(smtp.letters) != count:
            count, changed = len(smtp.letters), time.monotonic()
    return changed


# A claim checks for both in the same statement.
@pytest.mark.parametrize("stop", ["disable", pytest.param("block", marks=pytest.mark.one_engine)])
def test_a_large_run_stops_immediately_and_continues_without_duplicates(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    sign_in: SignIn,
    user: User,
    smtp: SmtpServer,
    stop: str,
) -> None:
    mailing = create_large_mailing(app, user)
    panel = sign_in(UserFactory.create(role=Role.MANAGER))
    with run_workers(environment, 2):
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        wait_until(lambda: len(smtp.letters) > STOP_AFTER, "the first letters")

        clicked_at = time.monotonic()
        press(panel, stop, mailing)
        assert wait_for_last_letter(smtp) - clicked_at < MAX_STOP_SECONDS
        sent_before = len(smtp.letters)
        wait_until(
            lambda: "sending" not in count_states(session, get_only_run(session)), "no letter is being sent"
        )
        expected = {"sent": sent_before, "pending": RECIPIENTS - sent_before}
        assert count_states(session, get_only_run(session)) == expected
        check_letters(session, smtp)

        press(panel, {"disable": "enable", "block": "unblock"}[stop], mailing)
        wait_until(lambda: len(smtp.letters) > sent_before + STOP_AFTER, "more letters")
        check_no_duplicates(smtp)

        # Sending the rest would only make the test longer.
        sign_in(user).post(f"/mailings/{mailing.id}/cancel")
        wait_until(lambda: get_only_run(session).state is RunState.CANCELLED, "the run is cancelled")
    sent = len(smtp.letters)
    assert count_states(session, get_only_run(session)) == {"sent": sent, "cancelled": RECIPIENTS - sent}
    check_letters(session, smtp)


def press(panel: FlaskClient, verb: str, mailing: Mailing) -> None:
    view, target_id = (
        ("mailings", mailing.id) if verb in ("disable", "enable") else ("users", mailing.owner_id)
    )
    data = {"id": target_id, "reason": "complaints"}
    assert panel.post(f"/manager/{view}/{verb}", data=data).status_code == 302


def check_letters(session: Session, smtp: SmtpServer) -> None:
    """Assert that the ledger balances and agrees with the mail server about each letter."""
    run = get_only_run(session)
    assert sum(count_states(session, run).values()) == run.planned == RECIPIENTS
    sent = select(Delivery.email).where(Delivery.run_id == run.id, Delivery.state == DeliveryState.SENT)
    assert set(session.scalars(sent)) == set(smtp.per_address())
    check_no_duplicates(smtp)


def check_no_duplicates(smtp: SmtpServer) -> None:
    assert max(smtp.per_address().values()) == 1
