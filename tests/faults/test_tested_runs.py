"""Test that everyone gets one letter of the right variant when workers are killed (fault 21)."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Decision, Delivery, OnUnknown, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.tested import count_subjects, plan_tested, read_subject
from tests.faults.workers import add_clients, live_run
from tests.processes.service import wait_until
from tests.support.servers import SmtpServer

RECIPIENTS = 600


def test_21_a_test_survives_the_death_of_its_workers(
    app: Flask, environment: dict[str, str], session: Session, user: User, smtp: SmtpServer
) -> None:
    add_clients(session, user, RECIPIENTS)
    mailing = plan_tested(user, session, on_unknown=OnUnknown.HOLD)
    with live_run(app, environment, session, mailing) as live:
        live.wait_for_letters(smtp, RECIPIENTS // 8)
        live.kill_one()

        def is_sample_sent() -> bool:
            live.sweep()
            states = count_states(session, get_only_run(session))
            return not states.get("sending") and states["pending"] == count_waiting(session)

        wait_until(is_sample_sent, "the sample has been sent", 60)
        run = get_only_run(session)
        run.test_ends_at = utcnow() - timedelta(seconds=1)
        session.flush()
        live.sweep()
        live.wait_for_letters(smtp, RECIPIENTS * 3 // 4)
        live.kill_one()
        live.finish(120)

    run = get_only_run(session)
    assert (run.winner, run.decision) == (1, Decision.NO_DIFFERENCE)
    check_ledger(session, run, smtp.letters)
    assert set(smtp.per_address().values()) == {1}
    variants = dict(session.execute(select(Delivery.email, Delivery.variant)).tuples().all())
    for letter in smtp.letters:
        assert read_subject(letter) == "AB"[(variants[letter.to] or run.winner or 0) - 1]
    assert count_subjects(smtp.letters).total() <= RECIPIENTS


def count_waiting(session: Session) -> int:
    """Return how many letters are outside the sample."""
    outside = select(func.count()).select_from(Delivery).where(Delivery.variant.is_(None))
    return session.scalar(outside) or 0
