"""Try calls again, pause after faults, and turn endpoints off."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import counters
from skymailing.clock import utcnow
from skymailing.models import (
    AuditAction,
    AuditEntry,
    CallState,
    DisabledReason,
    EndpointState,
    OutboxLetter,
)
from skymailing.webhooks import claims
from tests.webhooks.conftest import Hooks
from tests.webhooks.receiver import OK, response_of, send


def test_a_refused_call_is_tried_again_with_the_same_id_until_it_is_given_up(hooks: Hooks) -> None:
    hooks.receiver.respond_with(response_of(500, "try\r\nlater"))
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    start = utcnow()
    with time_machine.travel(start, tick=False) as clock:
        hooks.emit(hooks.user, {"n": 1})
        delays = []
        for _ in range(len(claims.RETRIES) + 1):
            hooks.send_calls()
            (call,) = hooks.list_calls()
            assert (call.last_code, call.last_response) == (500, "try later")
            delays.append(call.due_at - utcnow())
            hooks.send_calls()  # not due yet
            clock.move_to(max(call.due_at, utcnow() + claims.PAUSES[-1]))
    assert tuple(delays[:-1]) == claims.RETRIES
    assert call.state is CallState.FAILED
    assert call.attempts == len(hooks.receiver.requests) == len(claims.RETRIES) + 1
    assert len(set(hooks.receiver.ids)) == 1
    assert len({request.body for request in hooks.receiver.requests}) == 1


def test_calls_are_counted_for_metrics(app: Flask, hooks: Hooks) -> None:
    hooks.receiver.respond_with(OK, response_of(500))
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    with app.app_context():
        before = counters.read()
    for number in range(2):
        hooks.emit(hooks.user, {"n": number})
        hooks.send_calls()
    with app.app_context():
        after = counters.read()
    for outcome in ("accepted", "fault"):
        name = f"webhook_calls:{outcome}"
        assert after[name] - before.get(name, 0) == 1


def test_after_a_fault_the_other_calls_wait_without_losing_an_attempt(hooks: Hooks, session: Session) -> None:
    hooks.receiver.respond_with(response_of(503))
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port, faults=1, faults_since=utcnow())
    hooks.emit(hooks.user, *({"n": n} for n in range(20)))

    hooks.send_calls()

    session.refresh(endpoint)
    assert len(hooks.receiver.requests) == 1
    assert sorted(call.attempts for call in hooks.list_calls()) == [0] * 19 + [1]
    assert endpoint.faults == 2
    assert endpoint.paused_until is not None

    hooks.receiver.respond = lambda connection, _request: send(connection, OK)
    with time_machine.travel(endpoint.paused_until + timedelta(seconds=1)):
        hooks.send_calls()

    session.refresh(endpoint)
    assert {call.state for call in hooks.list_calls()} == {CallState.DELIVERED}
    assert endpoint.faults == 0
    assert not endpoint.faults_since
    assert not endpoint.paused_until


@pytest.mark.parametrize(
    "response", [response_of(302, "", "Location: https://127.0.0.1/\r\n"), response_of(404)]
)
def test_redirects_and_errors_are_faults(hooks: Hooks, response: bytes) -> None:
    hooks.receiver.respond_with(response)
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, {"n": 1})

    hooks.send_calls()

    assert [call.state for call in hooks.list_calls()] == [CallState.PENDING]
    assert len(hooks.receiver.requests) == 1


def test_an_endpoint_that_is_gone_is_turned_off_and_its_owner_gets_a_letter(
    hooks: Hooks, session: Session
) -> None:
    hooks.receiver.respond_with(response_of(410))
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, {"n": 1}, {"n": 2})

    hooks.send_calls()
    hooks.emit(hooks.user, {"n": 3})

    session.refresh(endpoint)
    assert (endpoint.state, endpoint.disabled_reason) == (EndpointState.DISABLED, DisabledReason.GONE)
    assert [call.state for call in hooks.list_calls()] == [CallState.FAILED, CallState.PENDING]
    letter = session.scalars(select(OutboxLetter)).one()
    assert (letter.template, letter.user_id) == ("webhook-disabled", hooks.user.id)
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.target) == (AuditAction.WEBHOOK_DISABLED, endpoint.url)


@pytest.mark.parametrize(
    ("days", "faults", "is_off"), [(4, 50, False), (6, claims.MIN_FAULTS - 2, False), (6, 50, True)]
)
def test_an_endpoint_is_turned_off_after_many_faults_over_days(
    hooks: Hooks, session: Session, days: int, faults: int, is_off: bool
) -> None:
    hooks.receiver.respond_with(response_of(500))
    since = utcnow() - timedelta(days=days)
    endpoint = hooks.make_endpoint(hooks.user, hooks.receiver.port, faults=faults, faults_since=since)
    hooks.emit(hooks.user, {"n": 1})

    hooks.send_calls()

    session.refresh(endpoint)
    assert (endpoint.state is EndpointState.DISABLED) is is_off
    assert endpoint.disabled_reason == (DisabledReason.FAULTS if is_off else "")
