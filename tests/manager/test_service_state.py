"""Test what the overview shows about the service: the queue, mail servers and returned mail."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy.orm import Session

from skymailing import counters
from skymailing.clock import utcnow
from skymailing.models import (
    BreakerState,
    MailingState,
    OwnerPause,
    ReturnedLetter,
    ReturnedState,
    Role,
    Route,
)
from skymailing.queue import connection
from skymailing.settings.returned_mail import MailboxAddress, returned_mail_settings
from tests.conftest import SignIn
from tests.manager.scenes import OVERVIEW, section, text_of, use
from tests.support.factories import MailingFactory, UserFactory


@pytest.fixture
def panel(sign_in: SignIn) -> FlaskClient:
    """Return a browser in which a manager is signed in."""
    return sign_in(UserFactory.create(role=Role.MANAGER, email="manager@sky.example"))


@pytest.mark.one_engine
def test_the_queue_and_its_programs(
    app: Flask, session: Session, panel: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing is overdue" in text_of(section(panel.get(OVERVIEW).text, "Queue"))
    owner = UserFactory.create()
    MailingFactory.create(
        owner=owner, state=MailingState.SCHEDULED, next_run_at=utcnow() - timedelta(minutes=5)
    )
    session.commit()
    queue = text_of(section(panel.get(OVERVIEW).text, "Queue"))
    assert "Workers none is running" in queue
    assert "Scheduler not running" in queue
    assert "nothing is overdue" not in queue

    monkeypatch.setitem(app.extensions, "skymailing_redis", Redis(port=1))
    page = panel.get(OVERVIEW)
    assert page.status_code == 200
    assert "Redis unavailable" in text_of(section(page.text, "Queue"))


@pytest.mark.one_engine
def test_mail_servers_with_their_errors_and_limits(session: Session, panel: FlaskClient) -> None:
    owner = UserFactory.create()
    servers = text_of(section(panel.get(OVERVIEW).text, "Mail servers"))
    assert "not used yet" in servers
    now = utcnow()
    session.add(
        Route(
            name="primary",
            state=BreakerState.OPEN,
            opened_at=now,
            retry_at=now + timedelta(minutes=1),
            last_fault_at=now,
            last_fault="421 <busy>",
            pace=5.0,
            last_refusal="450 slow down",
        )
    )
    session.add(Route(name="server-7", state=BreakerState.OPEN))
    session.add(
        OwnerPause(route="primary", owner_id=owner.id, until=now + timedelta(hours=1), seconds=9, reply="")
    )
    session.commit()
    markup = section(panel.get(OVERVIEW).text, "Mail servers")
    assert "421 &lt;busy&gt;" in markup
    servers = text_of(markup)
    for part in ("does not accept emails", "Next try", "5 emails per second", "450 slow down"):
        assert part in servers
    assert "Users whose emails it refuses 1" in servers


@pytest.mark.one_engine
def test_returned_mail(app: Flask, session: Session, panel: FlaskClient) -> None:
    owner = UserFactory.create()
    for number, owner_id in enumerate((None, None, owner.id)):
        session.add(
            ReturnedLetter(
                digest=str(number),
                source="pipe",
                received_at=utcnow(),
                raw=b"",
                state=ReturnedState.UNCLEAR,
                owner_id=owner_id,
            )
        )
    session.commit()
    use(app, owner, days_ago=1, letters=1000, bounces=20, complaints=1)
    returned = text_of(section(panel.get(OVERVIEW).text, "Returned emails"))
    assert "Not recognized 2 Users have to decide 1" in returned
    assert "last 7 days 20 2% of attempts Spam complaints, last 7 days 1 0.1% of attempts" in returned


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("gauges", "shown"),
    [
        ({}, "not read yet"),
        ({"mailbox_read": 200.0, "mailbox_failed": 100.0}, "last read"),
        ({"mailbox_read": 100.0, "mailbox_failed": 200.0}, "cannot be read"),
        ({"mailbox_failed": 200.0}, "cannot be read"),
    ],
)
def test_whether_the_mailbox_can_be_read(
    app: Flask,
    session: Session,
    panel: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    gauges: dict[str, float],
    shown: str,
) -> None:
    assert "not set up" in section(panel.get(OVERVIEW).text, "Returned emails")
    with app.app_context():
        settings = replace(returned_mail_settings(), mailbox=MailboxAddress.parse("imaps://a:b@mail.example"))
        monkeypatch.setitem(app.config, "RETURNED_MAIL", settings)
        connection().delete(counters.KEY)
        for name, value in gauges.items():
            counters.set_gauge(name, value)
    assert shown in section(panel.get(OVERVIEW).text, "Returned emails")
