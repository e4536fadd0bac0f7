"""Send calls to a real receiver: signatures, retries, pauses, order, and limits per endpoint and owner."""

import ssl
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from standardwebhooks import WebhookVerificationError

from skymailing import jobs, queue
from skymailing.clock import utcnow
from skymailing.encryption import WEBHOOK_ACCESS, encrypt
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    AuditEntry,
    CallState,
    DisabledReason,
    EndpointState,
    EventType,
    OutboxLetter,
    User,
    WebhookEvent,
)
from skymailing.webhooks import claims, lane, tasks
from skymailing.webhooks.signatures import make_secret
from tests.support.factories import UserFactory
from tests.webhooks.conftest import SECRET, Emit, ListCalls, MakeEndpoint, SendCalls
from tests.webhooks.receiver import OK, Received, Receiver, answer_code, send


def test_a_call_is_signed_and_contains_the_event(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
    session: Session,
) -> None:
    make_endpoint(user, receiver.port)
    emit(user, {"name": "Осень"})

    send_calls()

    (request,) = receiver.requests
    event = session.scalars(select(WebhookEvent)).one()
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.id == f"evt_{event.uuid.hex}"
    verified = request.verify(SECRET)
    assert verified["type"] == "run.finished"
    assert verified["data"] == {"name": "Осень"}
    assert verified["timestamp"].endswith("Z")
    (call,) = list_calls()
    assert (call.state, call.attempts, call.last_code, call.last_answer) == (
        CallState.DELIVERED,
        1,
        200,
        "ok",
    )
    with pytest.raises(WebhookVerificationError):
        request.verify(make_secret())


def test_an_event_reaches_each_endpoint_that_wants_it_and_no_other(
    receiver: Receiver, user: User, make_endpoint: MakeEndpoint, emit: Emit, send_calls: SendCalls
) -> None:
    for path, types in (("/all", tuple(EventType)), ("/runs", (EventType.RUN_FINISHED,))):
        make_endpoint(user, 0, *types, url=f"https://hooks.shop.example:{receiver.port}{path}")
    for path, values in (
        ("/off", {"state": EndpointState.DISABLED}),
        ("/bounces", {"events": ["bounce.received"]}),
    ):
        make_endpoint(user, 0, url=f"https://hooks.shop.example:{receiver.port}{path}", **values)
    make_endpoint(UserFactory.create(), receiver.port)

    emit(user, {"n": 1})
    send_calls()

    assert sorted(request.line.split()[1] for request in receiver.requests) == ["/all", "/runs"]
    assert len(set(receiver.ids)) == 1


def test_an_owner_without_endpoints_causes_no_rows(user: User, emit: Emit, session: Session) -> None:
    emit(user, {"n": 1})

    assert session.scalars(select(WebhookEvent)).all() == []


def test_calls_share_a_connection(
    receiver: Receiver, user: User, make_endpoint: MakeEndpoint, emit: Emit, send_calls: SendCalls
) -> None:
    make_endpoint(user, receiver.port)
    emit(user, *({"n": n} for n in range(250)))

    send_calls()

    assert sorted(request.event["data"]["n"] for request in receiver.requests) == list(range(250))
    assert receiver.connections <= lane.TURNS_PER_ENDPOINT


def test_a_closed_connection_is_replaced(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
) -> None:
    def close_after(connection: ssl.SSLSocket, _request: Received) -> bool:
        connection.sendall(OK)  # without "Connection: close"
        return False

    receiver.answer = close_after
    make_endpoint(user, receiver.port)
    emit(user, *({"n": n} for n in range(5)))

    send_calls()

    assert {call.state for call in list_calls()} == {CallState.DELIVERED}
    assert receiver.connections == 5


def test_both_secrets_sign_while_one_is_being_replaced(
    app: Flask, receiver: Receiver, user: User, make_endpoint: MakeEndpoint, emit: Emit, send_calls: SendCalls
) -> None:
    old = make_secret()
    with app.app_context():
        encrypted = encrypt(old, WEBHOOK_ACCESS)
    ends = utcnow() + timedelta(hours=1)
    make_endpoint(user, receiver.port, encrypted_old_secret=encrypted, old_secret_until=ends)
    emit(user, {"n": 1})
    send_calls()
    (request,) = receiver.requests
    assert request.verify(SECRET) == request.verify(old)

    with time_machine.travel(ends):
        emit(user, {"n": 2})
        send_calls()
        request = receiver.requests[-1]
        request.verify(SECRET)
        with pytest.raises(WebhookVerificationError):
            request.verify(old)


def test_a_refused_call_is_tried_again_with_the_same_id_until_it_is_given_up(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
) -> None:
    receiver.answer_with(answer_code(500, "try\r\nlater"))
    make_endpoint(user, receiver.port)
    start = utcnow()
    with time_machine.travel(start, tick=False) as clock:
        emit(user, {"n": 1})
        delays = []
        for _ in range(len(claims.RETRIES) + 1):
            send_calls()
            (call,) = list_calls()
            assert (call.last_code, call.last_answer) == (500, "try later")
            delays.append(call.due_at - utcnow())
            send_calls()  # not due yet
            clock.move_to(max(call.due_at, utcnow() + claims.PAUSES[-1]))
    assert tuple(delays[:-1]) == claims.RETRIES
    assert call.state is CallState.FAILED
    assert call.attempts == len(receiver.requests) == len(claims.RETRIES) + 1
    assert len(set(receiver.ids)) == 1
    assert len({request.body for request in receiver.requests}) == 1


def test_after_a_fault_the_other_calls_wait_without_losing_an_attempt(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
    session: Session,
) -> None:
    receiver.answer_with(answer_code(503))
    endpoint = make_endpoint(user, receiver.port, faults=1, faults_since=utcnow())
    emit(user, *({"n": n} for n in range(20)))

    send_calls()

    session.refresh(endpoint)
    assert len(receiver.requests) == 1
    assert sorted(call.attempts for call in list_calls()) == [0] * 19 + [1]
    assert endpoint.faults == 2
    assert endpoint.paused_until is not None

    receiver.answer = lambda connection, _request: send(connection, OK)
    with time_machine.travel(endpoint.paused_until + timedelta(seconds=1)):
        send_calls()

    session.refresh(endpoint)
    assert {call.state for call in list_calls()} == {CallState.DELIVERED}
    assert (endpoint.faults, endpoint.faults_since, endpoint.paused_until) == (0, None, None)


@pytest.mark.parametrize(
    "answer", [answer_code(302, "", "Location: https://127.0.0.1/\r\n"), answer_code(404)]
)
def test_redirects_and_errors_are_faults(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
    answer: bytes,
) -> None:
    receiver.answer_with(answer)
    make_endpoint(user, receiver.port)
    emit(user, {"n": 1})

    send_calls()

    assert [call.state for call in list_calls()] == [CallState.PENDING]
    assert len(receiver.requests) == 1


def test_an_endpoint_that_is_gone_is_turned_off_and_its_owner_gets_a_letter(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
    session: Session,
) -> None:
    receiver.answer_with(answer_code(410))
    endpoint = make_endpoint(user, receiver.port)
    emit(user, {"n": 1}, {"n": 2})

    send_calls()
    emit(user, {"n": 3})

    session.refresh(endpoint)
    assert (endpoint.state, endpoint.disabled_reason) == (EndpointState.DISABLED, DisabledReason.GONE)
    assert [call.state for call in list_calls()] == [CallState.FAILED, CallState.PENDING]
    letter = session.scalars(select(OutboxLetter)).one()
    assert (letter.template, letter.user_id) == ("webhook-disabled", user.id)
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.target) == (AuditAction.WEBHOOK_DISABLED, endpoint.url)


@pytest.mark.parametrize(
    ("days", "faults", "is_off"), [(4, 50, False), (6, claims.MIN_FAULTS - 2, False), (6, 50, True)]
)
def test_an_endpoint_is_turned_off_after_many_faults_over_days(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    session: Session,
    days: int,
    faults: int,
    is_off: bool,
) -> None:
    receiver.answer_with(answer_code(500))
    since = utcnow() - timedelta(days=days)
    endpoint = make_endpoint(user, receiver.port, faults=faults, faults_since=since)
    emit(user, {"n": 1})

    send_calls()

    session.refresh(endpoint)
    assert (endpoint.state is EndpointState.DISABLED) is is_off
    assert endpoint.disabled_reason == (DisabledReason.FAULTS if is_off else "")


def test_slow_endpoints_do_not_delay_others(
    receiver: Receiver,
    certificate: ssl.SSLContext,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    list_calls: ListCalls,
    app: Flask,
) -> None:
    """Fourteen endpoints of two owners never answer; the only one of a third owner gets its calls."""
    released = threading.Event()

    def hang(_connection: ssl.SSLSocket, _request: Received) -> bool:
        released.wait(30)
        return False

    with Receiver(certificate, hang) as silent:
        slow_owners = [UserFactory.create(), UserFactory.create()]
        for owner in slow_owners:
            for number in range(7):
                make_endpoint(owner, 0, url=f"https://hooks.shop.example:{silent.port}/{number}")
            emit(owner, *({"n": n} for n in range(3)))
        make_endpoint(user, receiver.port)
        emit(user, *({"n": n} for n in range(150)))

        def send() -> None:
            with app.app_context():
                tasks.send_due_calls()

        sender = threading.Thread(target=send)
        sender.start()
        try:
            deadline = time.monotonic() + 60
            while len(receiver.requests) < 150 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(receiver.requests) == 150
            # None of the slow calls has ended, and their owners do not use all threads.
            assert len(silent.requests) <= len(slow_owners) * lane.TURNS_PER_OWNER < lane.THREADS
            assert sum(call.attempts for call in list_calls() if call.owner_id != user.id) == 0
        finally:
            released.set()
            sender.join(60)


def test_calls_of_a_dead_worker_are_sent_again_when_the_lease_has_expired(
    app: Flask,
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
) -> None:
    make_endpoint(user, receiver.port)
    emit(user, {"n": 1})
    with app.app_context():
        (endpoint,) = claims.list_due_endpoints(utcnow())
        (turn,) = claims.claim({endpoint: 10}, utcnow())
        db.session.commit()
        allowed = app.config["WEBHOOKS_PRIVATE_NETWORKS"]
        late, connection = lane.send_turn(turn, None, allowed, lambda: False)
    assert connection is not None
    connection.close()
    send_calls()
    assert len(receiver.requests) == 1  # by the dead worker

    with time_machine.travel(turn.lease + timedelta(seconds=1)):
        send_calls()
        (call,) = list_calls()
        assert (call.state, call.attempts) == (CallState.DELIVERED, 1)
        assert receiver.ids[0] == receiver.ids[1]
        with app.app_context():  # it was only slow
            tasks.record([late])
    (call,) = list_calls()
    assert call.attempts == 1


def test_blocked_owners_get_no_calls(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    session: Session,
) -> None:
    make_endpoint(user, receiver.port)
    emit(user, {"n": 1})
    user.blocked_at = utcnow()
    session.flush()

    send_calls()

    assert receiver.requests == []


def test_a_secret_that_cannot_be_read_is_reported(
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
) -> None:
    make_endpoint(user, receiver.port, encrypted_secret="from another SECRET_KEY")
    emit(user, {"n": 1})

    send_calls()

    assert receiver.requests == []
    assert "secret" in list_calls()[0].last_answer


def test_due_calls_are_found_by_the_sweep_after_redis_was_emptied(
    app: Flask,
    receiver: Receiver,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    work: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "LINGER_SECONDS", 0.0)
    make_endpoint(user, receiver.port)
    emit(user, {"n": 1})
    with app.app_context():
        queue.connection().flushall()
        jobs.sweep()
    work()
    tasks.wait_until_served(30)

    assert len(receiver.requests) == 1
