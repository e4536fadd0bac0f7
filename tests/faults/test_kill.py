"""Workers killed in the middle of their work (fault 21): the ledger closes, and nobody is mailed twice."""

import random
import time

from flask import Flask
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.clock import utcnow
from skymailing.models import Client, MailingState, OnUnknown, RunState, User
from tests.delivery.ledger import check_ledger, only_run, states
from tests.factories import MailingFactory
from tests.faults.workers import kill, start_worker, workers
from tests.processes.service import wait_until
from tests.servers import SmtpServer

RECIPIENTS = 2000
KILLS = 4


def test_a_run_survives_the_death_of_its_workers(
    app: Flask, environment: dict[str, str], session: Session, user: User, smtp: SmtpServer
) -> None:
    session.add_all(
        Client(owner_id=user.id, email=f"c{number}@example.org", email_key=f"c{number}@example.org")
        for number in range(RECIPIENTS)
    )
    session.flush()
    mailing = MailingFactory.create(
        owner=user, state=MailingState.SCHEDULED, next_run_at=utcnow(), on_unknown=OnUnknown.HOLD
    )
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)

    with workers(environment, 2) as running:
        for round_number in range(KILLS):
            goal = RECIPIENTS * (round_number + 1) // (KILLS + 2)
            wait_until(lambda goal=goal: len(smtp.letters) >= goal, f"{goal} letters")
            victim = running.pop(random.randrange(len(running)))
            assert victim.poll() is None, "a worker ended by itself"
            kill(victim)
            running.append(start_worker(environment))
            with app.app_context():
                jobs.sweep()

        def is_finished() -> bool:
            with app.app_context():
                jobs.sweep()
            time.sleep(0.5)
            return only_run(session).state is RunState.FINISHED

        wait_until(is_finished, "the run is finished", 90)

    run = only_run(session)
    counts = states(session, run)
    check_ledger(session, run, smtp.letters)
    # One letter per session at most was between DATA and its reply when its worker was killed.
    assert counts.get("unknown", 0) <= KILLS * 20
    assert counts["sent"] + counts.get("unknown", 0) == RECIPIENTS
