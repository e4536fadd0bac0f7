"""Mailings that come again."""

from datetime import timedelta

import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    MailingState,
    Periodicity,
    Run,
    User,
)
from tests.delivery.conftest import Start, Work
from tests.factories import ClientFactory, due_mailing
from tests.servers import SmtpServer


def test_a_recurring_mailing_goes_on_to_its_next_day(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    begin = utcnow().replace(microsecond=0)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=begin,
        next_run_at=begin,
        ends_at=begin + timedelta(days=2, hours=1),
    )
    start(mailing)
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, begin + timedelta(days=1))

    for days in (1, 2, 3):
        with time_machine.travel(begin + timedelta(days=days, seconds=1)):
            sweep()

    slots = session.scalars(select(Run.scheduled_for).order_by(Run.scheduled_for)).all()
    assert slots == [begin + timedelta(days=days) for days in (0, 1, 2)]
    assert smtp.per_address() == {client.email: 3}
    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED


def test_missed_days_are_made_up_for_once(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    begin = utcnow().replace(microsecond=0)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=begin,
        next_run_at=begin,
        ends_at=begin + timedelta(days=30),
    )

    with time_machine.travel(begin + timedelta(days=5, hours=3)):
        sweep()
        sweep()

    assert smtp.per_address() == {client.email: 1}
    session.refresh(mailing)
    assert mailing.next_run_at == begin + timedelta(days=6)
