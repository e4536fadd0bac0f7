"""Test that letters with attachments arrive once and complete when workers are killed."""

import random
import time

from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import OnUnknown, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.workers import add_clients, kill, live_run
from tests.support.factories import MessageFactory, due_mailing
from tests.support.files import attach, list_attached, make_bytes
from tests.support.servers import SmtpServer

RECIPIENTS, KILLS, SESSIONS = 200, 2, 20


def test_letters_with_files_arrive_once_although_their_workers_die(
    app: Flask, environment: dict[str, str], session: Session, user: User, smtp: SmtpServer
) -> None:
    content = make_bytes(60_000)
    message = MessageFactory.create(owner=user)
    attach(message, content, "Прайс.pdf")
    add_clients(session, user, RECIPIENTS)
    mailing = due_mailing(user, message=message, on_unknown=OnUnknown.HOLD)
    with live_run(app, environment, session, mailing) as run:
        for number in range(KILLS):
            run.wait_for_letters(smtp, RECIPIENTS * (number + 1) // (KILLS + 2))
            time.sleep(random.uniform(0, 0.05))
            victim = random.choice(run.workers)
            assert victim.poll() is None, "a worker ended without being killed"
            kill(victim)
            run.sweep()
        run.finish(180)

    run_row = get_only_run(session)
    counts = count_states(session, run_row)
    check_ledger(session, run_row, smtp.letters)
    assert counts.get("unknown", 0) <= KILLS * SESSIONS
    assert counts["sent"] + counts.get("unknown", 0) == RECIPIENTS
    assert set(smtp.per_address().values()) == {1}
    assert all(list_attached(letter.parsed) == [("Прайс.pdf", content)] for letter in smtp.letters)
