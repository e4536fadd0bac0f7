"""Test that letters are not sent if the database's reply to their claim arrives too late."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan, send
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.extensions import db
from skymailing.models import Delivery, DeliveryState, Mailing, MailingState, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import SuppressionFactory, due_mailing
from tests.support.servers import SmtpServer

WINDOW = 0.4  # seconds


@pytest.fixture
def run_id(
    app: Flask, session: Session, user: User, clients: list[str], monkeypatch: pytest.MonkeyPatch
) -> int:
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], window_seconds=WINDOW))
    with app.app_context():
        close_dispatcher()
        started = plan.start_due_run(due_mailing(user).id, utcnow())
    assert started
    return started


@contextmanager
def after_claim(session: Session, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` after the first claim has been committed, but before its worker gets the reply."""
    engine, is_done = db.engine, False

    def hold(_connection: object, _record: object) -> None:
        nonlocal is_done
        is_sending = select(Delivery.id).where(Delivery.state == DeliveryState.SENDING)
        if not is_done and session.scalar(is_sending.limit(1)) is not None:
            is_done = True
            act()

    event.listen(engine, "checkin", hold)
    try:
        yield
    finally:
        event.remove(engine, "checkin", hold)
    assert is_done


def test_no_letter_is_sent_after_a_cancel_during_a_held_claim(
    app: Flask, session: Session, smtp: SmtpServer, run_id: int
) -> None:
    def cancel() -> None:
        session.execute(update(Mailing).values(state=MailingState.CANCELLED))
        time.sleep(WINDOW)

    with app.app_context(), after_claim(session, cancel):
        send.send_slice(run_id, lambda _seconds: False)

    assert smtp.letters == []
    assert count_states(session, get_only_run(session)) == {"cancelled": 3}


def test_a_client_who_unsubscribes_during_a_held_claim_gets_no_letter(
    app: Flask, session: Session, user: User, smtp: SmtpServer, run_id: int, clients: list[str]
) -> None:
    def unsubscribe() -> None:
        SuppressionFactory.create(owner_id=user.id, email_key=clients[0])
        time.sleep(WINDOW)

    with app.app_context(), after_claim(session, unsubscribe):
        send.send_slice(run_id, lambda _seconds: False)

    assert smtp.per_address() == {clients[1]: 1, clients[2]: 1}
    assert count_states(session, get_only_run(session)) == {"sent": 2, "suppressed": 1}


def test_a_lease_that_has_run_out_is_not_used(
    app: Flask, session: Session, smtp: SmtpServer, run_id: int
) -> None:
    """The letters return to pending once, and are sent after the next claim."""
    seen: list[int] = []

    def expire() -> None:
        session.execute(update(Delivery).values(lease_until=utcnow() - timedelta(seconds=1)))
        time.sleep(WINDOW)

    def is_over(_seconds: float) -> bool:
        seen.append(len(smtp.letters))
        return False

    with app.app_context(), after_claim(session, expire):
        send.send_slice(run_id, is_over)

    assert seen == [0]
    assert count_states(session, get_only_run(session)) == {"sent": 3}
    check_ledger(session, get_only_run(session), smtp.letters)


def test_letters_are_sent_even_if_every_claim_takes_longer_than_a_window(
    app: Flask, session: Session, smtp: SmtpServer, run_id: int
) -> None:
    with app.app_context(), after_claim(session, lambda: time.sleep(3 * WINDOW)):
        send.send_slice(run_id, lambda _seconds: True)

    assert len(smtp.letters) == 3
