"""Test that letters are counted by owner and hour when mail servers accept them, and stay counted."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import Delivery, Role, UsageHour, UsageKind, User
from skymailing.processes import forked
from skymailing.quotas.counting import HOUR, hour_of
from skymailing.reports.aggregates import DELIVERED
from tests.conftest import SignIn
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_accepted, get_accepted
from tests.delivery.worker import NewWorker
from tests.mailings.pages import soup
from tests.returns.scenes import Desk
from tests.support.factories import UserFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer


def count_by_hour(session: Session, owner: User) -> Counter[datetime]:
    """Return the owner's accepted letters by the hour in which they were counted."""
    own = (UsageHour.owner_id == owner.id) & (UsageHour.kind == UsageKind.ACCEPTED)
    counts: Counter[datetime] = Counter()
    for begins_at, count in session.execute(select(UsageHour.begins_at, UsageHour.count).where(own)).tuples():
        counts[hour_of(begins_at)] += count
    return counts


@contextmanager
def early_in_an_hour() -> Iterator[datetime]:
    """Travel to the fifth minute of the hour, so that it does not end during the test; yield the hour."""
    with time_machine.travel(hour_of(utcnow()) + timedelta(minutes=5)):
        yield hour_of(utcnow())


def test_letters_are_counted_in_the_hour_in_which_a_server_accepts_them(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    clients = create_clients(user, 5)
    smtp.rcpt_replies = {clients[0].email: "550 5.1.1 unknown", clients[1].email: "451 4.7.1 greylisted"}
    with early_in_an_hour() as hour:
        start(due_mailing(user, ends_at=hour + timedelta(days=1)))
        assert count_by_hour(session, user) == {hour: 3}
    smtp.rcpt_replies.clear()
    with time_machine.travel(hour + timedelta(hours=1, minutes=5)):
        sweep()

    assert count_by_hour(session, user) == {hour: 3, hour + HOUR: 1}
    assert len(smtp.letters) == 4


def test_a_letter_that_is_returned_later_stays_counted(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer, sign_in: SignIn
) -> None:
    create_clients(user, 3)
    with time_machine.travel(utcnow() - timedelta(days=2)):
        start(due_mailing(user))
    desk = Desk(app, session, user)
    for delivery in session.scalars(select(Delivery)).all():
        desk.ingest(desk.bounce(delivery))

    negative = session.scalars(select(DELIVERED).where(DELIVERED < 0)).all()
    assert negative == [-3], "reports subtract the returns on the day they arrive"
    assert get_accepted(session, user.id) == 3
    panel = sign_in(UserFactory.create(role=Role.MANAGER))
    shown = soup(panel.get(f"/manager/users/{user.id}/")).select(".panel-numbers .count")
    assert [number.get_text() for number in shown[:3]] == ["0", "3", "3 100% of attempts"]
    days = soup(panel.get("/manager/")).select(".days tbody tr")
    counts = sorted(int(day.select(".number")[0].get_text()) for day in days)
    assert counts == [0, 0, 0, 0, 0, 0, 3]


def test_the_rows_of_two_processes_add_up(
    app: Flask, session: Session, user: User, new_worker: NewWorker, clients: list[str]
) -> None:
    worker = new_worker()
    worker.claim()
    results = worker.make_results(Verdict.SENT)

    def record_in_a_fork() -> None:
        with app.app_context():
            db.engine.dispose(close=False)  # the connections belong to the parent
        worker.record(results[1:])

    with early_in_an_hour() as hour:
        worker.record(results[:1])
        assert forked.call(record_in_a_fork)

    rows = session.scalars(select(UsageHour.count).where(UsageHour.kind == UsageKind.ACCEPTED)).all()
    assert sorted(rows) == [1, 2]
    assert count_by_hour(session, user) == {hour: 3}
    check_accepted(session, user.id)
