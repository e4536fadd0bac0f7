"""Test the `flask mailings` commands."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.commands.mailings import format_time
from skymailing.models import (
    BreakerState,
    Delivery,
    DeliveryState,
    MailingState,
    Route,
    RunState,
    StateReason,
    User,
)
from tests.mailings.pages import soup
from tests.support.factories import (
    AttemptFactory,
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    create_clients,
    create_run,
)
from tests.support.servers import SmtpServer

# Arguments and output do not depend on the database.
pytestmark = pytest.mark.one_engine

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask, session: Session) -> Run:
    def invoke(*arguments: object) -> Result:
        return app.test_cli_runner().invoke(args=["mailings", *map(str, arguments)])

    return invoke


def test_list_shows_every_mailing_with_state_and_owner(run: Run, user: User) -> None:
    first = MailingFactory.create(owner=user, name="Весна")
    other = MailingFactory.create(name="Summer", state=MailingState.PAUSED, disabled_at=utcnow())
    lines = run("list").output.splitlines()
    assert lines[0].split("\t") == [str(other.id), "paused disabled", other.owner.email, "Summer"]
    assert lines[1].split("\t") == [str(first.id), "draft", user.email, "Весна"]


@pytest.mark.both_engines
def test_start_sends_letters(run: Run, user: User, smtp: SmtpServer, work: Callable[[], None]) -> None:
    clients = create_clients(user, 3)
    mailing = MailingFactory.create(owner=user)
    result = run("start", mailing.id)
    assert result.exit_code == 0, result.output
    work()
    assert sorted(letter.to for letter in smtp.letters) == sorted(client.email for client in clients)
    assert "sent 3" in run("status", mailing.id).output.splitlines()


def test_pause_resume_and_cancel_change_the_state(run: Run, user: User, session: Session) -> None:
    later = utcnow() + timedelta(hours=3)
    mailing = MailingFactory.create(
        owner=user, state=MailingState.SCHEDULED, starts_at=later, next_run_at=later
    )
    for command, state in [("pause", "paused"), ("resume", "scheduled"), ("cancel", "cancelled")]:
        assert run(command, mailing.id).exit_code == 0
        assert f"state {state}" in run("status", mailing.id).output.splitlines()


@pytest.mark.both_engines
def test_the_counts_in_status_add_up(run: Run, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {DeliveryState.SENT: 9}, scheduled_for=utcnow() - timedelta(days=9))
    last = create_run(mailing, {DeliveryState.SENT: 3, DeliveryState.FAILED: 2, DeliveryState.UNKNOWN: 1})
    lines = dict(line.split(" ", 1) for line in run("status", mailing.id).output.splitlines())
    assert lines["state"] == "finished"
    assert lines["run"] == str(last.id)
    assert (lines["planned"], lines["sent"], lines["failed"], lines["unknown"]) == ("6", "3", "2", "1")
    assert sum(int(lines[state.value]) for state in DeliveryState) == int(lines["planned"])
    values = json.loads(run("status", mailing.id, "--json").output)
    assert values.keys() == lines.keys()
    assert values["sent"] == 3


@pytest.mark.both_engines
def test_status_shows_rate_forecast_mail_servers_and_possible_duplicates(
    run: Run, user: User, session: Session
) -> None:
    now = utcnow()
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING, ends_at=now + timedelta(hours=2))
    last = create_run(
        mailing,
        {DeliveryState.SENT: 1, DeliveryState.PENDING: 20, DeliveryState.UNKNOWN: 2},
        state=RunState.SENDING,
        started_at=now - timedelta(minutes=5),
    )
    due_at = now + timedelta(minutes=30)
    DeliveryFactory.create(run=last, state=DeliveryState.DEFERRED, unknowns=1, due_at=due_at)
    (sent, *_others) = session.scalars(select(Delivery).where(Delivery.state == DeliveryState.SENT))
    create_attempts(sent, now)
    values = json.loads(run("status", mailing.id, "--json").output)
    assert values["rate_per_second"] == pytest.approx(0.5, rel=0.1)
    assert values["seconds_left"] == pytest.approx(30 * 60, rel=0.1), "the time of the last retry"
    assert values["finishes_at"] == values["deferred_next_at"] == format_time(due_at)
    assert (values["would_expire"], values["unknown_waiting"], values["unknown_resend"]) == (0, 2, 1)
    assert "before the mailing ends" in values["forecast"]
    assert (values["route"], values["route_state"], values["route_since"]) == ("connected", "fine", None)

    opened_at, retry_at = now - timedelta(minutes=3), now + timedelta(minutes=1)
    route = Route(
        name="primary", state=BreakerState.OPEN, opened_at=opened_at, retry_at=retry_at, last_fault="421 away"
    )
    session.add(route)
    session.flush()
    lines = dict(line.split(" ", 1) for line in run("status", mailing.id).output.splitlines())
    assert "has not accepted emails" in lines["route"]
    assert lines["route"].endswith("421 away")
    assert (lines["route_state"], lines["route_since"]) == ("open", format_time(opened_at))
    assert lines["route_next_try"] == format_time(retry_at)
    assert (lines["rate_per_second"], lines["finishes_at"]) == ("-", "-")
    assert lines["timezone"] == "UTC"
    route.state = BreakerState.PROBING
    session.flush()
    values = json.loads(run("status", mailing.id, "--json").output)
    assert (values["route_state"], values["route_next_try"]) == ("probing", None)


def create_attempts(delivery: Delivery, now: datetime) -> None:
    """Create 30 attempts within the minute before `now`."""
    for number in range(1, 31):
        at = now - timedelta(seconds=60 - 2 * number)
        AttemptFactory.create(delivery=delivery, number=number, at=at)


@pytest.mark.parametrize("cause", ["disabled", "blocked", "paused"])
def test_status_explains_why_a_run_is_not_sending(run: Run, user: User, session: Session, cause: str) -> None:
    reason = f"{StateReason.REFUSED}: 553 5.7.1 not from you"
    mailing = MailingFactory.create(
        owner=user,
        state=MailingState.PAUSED if cause == "paused" else MailingState.RUNNING,
        state_reason=reason if cause == "paused" else "",
        disabled_at=utcnow() if cause == "disabled" else None,
        disabled_reason="spam" if cause == "disabled" else "",
    )
    last = create_run(mailing, {DeliveryState.SENT: 5, DeliveryState.PENDING: 500}, state=RunState.SENDING)
    (sent, *_others) = session.scalars(select(Delivery).where(Delivery.state == DeliveryState.SENT))
    create_attempts(sent, utcnow())
    user.blocked_at = utcnow() if cause == "blocked" else None
    session.flush()

    values = json.loads(run("status", mailing.id, "--json").output)

    assert values["run"] == last.id
    explanation = (values["disabled"], values["disabled_reason"], values["owner_blocked"], values["reason"])
    refused = "The mail server refuses the sender, so the mailing was paused: 553 5.7.1 not from you"
    assert (
        explanation
        == {
            "disabled": (True, "spam", False, ""),
            "blocked": (False, "", True, ""),
            "paused": (False, "", False, refused),
        }[cause]
    )
    assert (values["rate_per_second"], values["finishes_at"], values["would_expire"]) == (None, None, 0)
    assert (values["route"], values["route_state"]) == ("", None)


def test_status_and_the_page_agree(run: Run, user: User, session: Session, browser: FlaskClient) -> None:
    """Check that every sentence and count in `status` is on the mailing's page."""
    now = utcnow()
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING, ends_at=now + timedelta(hours=2))
    last = create_run(
        mailing,
        {DeliveryState.SENT: 3, DeliveryState.PENDING: 20, DeliveryState.UNKNOWN: 2, DeliveryState.FAILED: 7},
        state=RunState.SENDING,
    )
    due_at = now + timedelta(minutes=30)
    DeliveryFactory.create(run=last, state=DeliveryState.DEFERRED, unknowns=1, due_at=due_at)
    session.add(
        Route(
            name="primary",
            state=BreakerState.OPEN,
            opened_at=now - timedelta(minutes=3),
            retry_at=now + timedelta(minutes=1),
            last_fault="421 away",
        )
    )
    session.flush()

    values = json.loads(run("status", mailing.id, "--json").output)
    page = soup(browser.get(f"/mailings/{mailing.id}"))

    assert page.select("#routes")[0].get_text(" ", strip=True) == values["route"]
    counts = [item.select(".count")[0].get_text() for item in page.select(".ledger li")]
    assert counts == [str(values[state.value]) for state in DeliveryState]
    assert f"{values['unknown_waiting']} emails are unclear" in page.get_text()
    assert f"{values['unknown_resend']} unclear email will be sent again" in page.get_text()


def test_status_before_the_first_run_shows_zeros(run: Run, user: User) -> None:
    values = json.loads(run("status", MailingFactory.create(owner=user).id, "--json").output)
    assert (values["run"], values["planned"], values["pending"]) == (None, 0, 0)
    assert (values["rate_per_second"], values["unknown_waiting"], values["forecast"]) == (None, 0, "")


def test_a_rejected_action_fails_with_an_explanation(run: Run, user: User) -> None:
    ClientFactory.create(owner=user)
    without_clients = MailingFactory.create()
    ended = MailingFactory.create(owner=user, ends_at=utcnow() - timedelta(seconds=1))
    for arguments, expected in [
        (("start", ended.id), "has ended"),
        (("start", without_clients.id), "has no clients"),
        (("resume", ended.id), "paused"),
        (("start", 999_999), "no mailing 999999"),
        (("status", 999_999), "no mailing 999999"),
        (("status", 10**30), f"no mailing {10**30}"),
        (("cancel", 2**31), f"no mailing {2**31}"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1
        assert expected in result.output
