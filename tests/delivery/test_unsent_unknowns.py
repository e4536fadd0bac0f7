"""Test that a letter that may have arrived remains unknown if it is not sent again."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger import deliveries
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import Delivery, Mailing, MailingState, OnUnknown, RunState, User
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.worker import NewWorker, sweep_in
from tests.support.factories import SuppressionFactory
from tests.support.servers import SmtpServer

End = Callable[[Session, Mailing], None]


def cancel(session: Session, mailing: Mailing) -> None:
    mailing.state = MailingState.CANCELLED
    session.flush()


def end_window(session: Session, mailing: Mailing) -> None:
    mailing.ends_at = utcnow() - timedelta(seconds=1)
    session.flush()


def delete_clients(session: Session, mailing: Mailing) -> None:
    ids = session.scalars(select(Delivery.client_id)).all()
    with db.engine.begin() as connection:
        deliveries.detach_clients(connection, [id for id in ids if id is not None], utcnow())


def unsubscribe(session: Session, mailing: Mailing) -> None:
    for key in session.scalars(select(Delivery.email_key)).all():
        SuppressionFactory.create(owner_id=mailing.owner_id, email_key=key)


@pytest.mark.parametrize("end", [cancel, end_window, delete_clients, unsubscribe])
@pytest.mark.parametrize("step", [None, Verdict.RELEASED])
def test_an_unknown_letter_that_is_not_sent_again_remains_unknown(
    app: Flask,
    session: Session,
    user: User,
    clients: list[str],
    new_worker: NewWorker,
    sweep: Work,
    smtp: SmtpServer,
    end: End,
    step: Verdict | None,
) -> None:
    """This also applies if the letter is pending again after a route fault."""
    worker = new_worker(on_unknown=OnUnknown.RESEND)
    worker.claim()
    worker.record(
        [*worker.make_results(Verdict.UNKNOWN, None)[:2], *worker.make_results(Verdict.RELEASED)[2:]]
    )
    session.execute(update(Delivery).where(Delivery.unknowns > 0).values(due_at=utcnow()))
    if step is not None:
        worker.claim()
        worker.record(worker.make_results(step))
    worker.die()

    with app.app_context():
        end(session, session.scalars(select(Mailing)).one())
    sweep_in(sweep, minutes=1)

    run = get_only_run(session)
    assert run.state in (RunState.FINISHED, RunState.CANCELLED)
    counts = count_states(session, run)
    assert counts.pop("unknown") == 2
    assert sum(counts.values()) == 1
    assert "sent" not in counts
    check_ledger(session, run, smtp.letters)
