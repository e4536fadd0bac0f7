"""Test that an unrenderable message pauses its mailing, and a single unrenderable letter fails."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.models import Attempt, MailingState, Outcome, User
from tests.delivery.conftest import Start
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import ClientFactory, MessageFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

# Letters are rendered in Python.
pytestmark = pytest.mark.one_engine

HARMFUL = "{% if client.harm %}{% for i in (1..9999999) %}x{% endfor %}{% endif %}"


def test_a_message_that_cannot_be_compiled_pauses_the_mailing_before_any_attempt(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    """The form rejects such messages, but a later version of the template language may reject more."""
    create_clients(user, 30)
    mailing = due_mailing(user, message=MessageFactory.create(owner=user, body="{% if name %}Hello"))

    start(mailing)

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason.startswith("not-writable: ")
    assert count_states(session, get_only_run(session)) == {"pending": 30}
    assert session.scalar(select(func.count()).select_from(Attempt)) == 0
    check_ledger(session, get_only_run(session), smtp.letters)


def test_only_a_letter_that_cannot_be_rendered_fails(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    create_clients(user, 15)
    ClientFactory.create(owner=user, attributes={"harm": "yes"})
    create_clients(user, 15)

    start(due_mailing(user, message=MessageFactory.create(owner=user, body=HARMFUL)))

    assert count_states(session, get_only_run(session)) == {"sent": 30, "failed": 1}
    check_ledger(session, get_only_run(session), smtp.letters)


@pytest.mark.both_engines
@pytest.mark.parametrize("accepted", [0, 25])
def test_a_message_that_fails_for_many_clients_in_a_row_pauses_the_mailing(
    session: Session, user: User, start: Start, smtp: SmtpServer, accepted: int
) -> None:
    create_clients(user, accepted)
    create_clients(user, 40, attributes={"harm": "yes"})
    mailing = due_mailing(user, message=MessageFactory.create(owner=user, body=HARMFUL))

    start(mailing)

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason.startswith("not-writable: The template is too expensive")
    counts = count_states(session, get_only_run(session))
    assert 10 <= counts["failed"] <= 20, "the limit, plus letters that were already started"
    assert counts.get("sent", 0) == accepted
    assert set(session.scalars(select(Attempt.code))) <= {None, 250}
    assert Outcome.UNKNOWN not in set(session.scalars(select(Attempt.outcome)))
    check_ledger(session, get_only_run(session), smtp.letters)
