"""Send calls to a real receiver: signatures, connections, dead workers, and limits per endpoint and owner."""

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
    CallState,
    EndpointState,
    EventType,
    User,
    WebhookEvent,
)
from skymailing.webhooks import claims, lane, tasks
from skymailing.webhooks.signatures import make_secret
from tests.support.factories import UserFactory
from tests.webhooks.conftest import SECRET, Emit, Hooks
from tests.webhooks.receiver import OK, Received, Receiver


def test_a_call_is_signed_and_contains_the_event(hooks: Hooks, session: Session) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, {"name": "Осень"})

    hooks.send_calls()

    (request,) = hooks.receiver.requests
    event = session.scalars(select(WebhookEvent)).one()
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.id == f"evt_{event.uuid.hex}"
    verified = request.verify(SECRET)
    assert verified["type"] == "run.finished"
    assert verified["data"] == {"name": "Осень"}
    assert verified["timestamp"].endswith("Z")
    (call,) = hooks.list_calls()
    assert (call.state, call.attempts, call.last_code, call.last_response) == (
        CallState.DELIVERED,
        1,
        200,
        "ok",
    )
    with pytest.raises(WebhookVerificationError):
        request.verify(make_secret())


def test_an_event_reaches_each_endpoint_that_wants_it_and_no_other(hooks: Hooks) -> None:
    for path, types in (("/all", tuple(EventType)), ("/runs", (EventType.RUN_FINISHED,))):
        hooks.make_endpoint(
            hooks.user, 0, *types, url=f"https://hooks.shop.example:{hooks.receiver.port}{path}"
        )
    for path, values in (
        ("/off", {"state": EndpointState.DISABLED}),
        ("/bounces", {"events": ["bounce.received"]}),
    ):
        hooks.make_endpoint(
            hooks.user, 0, url=f"https://hooks.shop.example:{hooks.receiver.port}{path}", **values
        )
    hooks.make_endpoint(UserFactory.create(), hooks.receiver.port)

    hooks.emit(hooks.user, {"n": 1})
    hooks.send_calls()

    assert sorted(request.line.split()[1] for request in hooks.receiver.requests) == ["/all", "/runs"]
    assert len(set(hooks.receiver.ids)) == 1


def test_an_owner_without_endpoints_causes_no_rows(user: User, emit: Emit, session: Session) -> None:
    emit(user, {"n": 1})

    assert session.scalars(select(WebhookEvent)).all() == []


def test_calls_share_a_connection(hooks: Hooks) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, *({"n": n} for n in range(250)))

    hooks.send_calls()

    assert sorted(request.event["data"]["n"] for request in hooks.receiver.requests) == list(range(250))
    assert hooks.receiver.connections <= lane.TURNS_PER_ENDPOINT


def test_a_closed_connection_is_replaced(hooks: Hooks) -> None:
    def close_after(connection: ssl.SSLSocket, _request: Received) -> bool:
        connection.sendall(OK)  # without "Connection: close"
        return False

    hooks.receiver.respond = close_after
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, *({"n": n} for n in range(5)))

    hooks.send_calls()

    assert {call.state for call in hooks.list_calls()} == {CallState.DELIVERED}
    assert hooks.receiver.connections == 5


def test_both_secrets_sign_while_one_is_being_replaced(hooks: Hooks, app: Flask) -> None:
    old = make_secret()
    with app.app_context():
        encrypted = encrypt(old, WEBHOOK_ACCESS)
    ends = utcnow() + timedelta(hours=1)
    hooks.make_endpoint(
        hooks.user, hooks.receiver.port, encrypted_old_secret=encrypted, old_secret_until=ends
    )
    hooks.emit(hooks.user, {"n": 1})
    hooks.send_calls()
    (request,) = hooks.receiver.requests
    assert request.verify(SECRET) == request.verify(old)

    with time_machine.travel(ends):
        hooks.emit(hooks.user, {"n": 2})
        hooks.send_calls()
        request = hooks.receiver.requests[-1]
        request.verify(SECRET)
        with pytest.raises(WebhookVerificationError):
            request.verify(old)


def send_in_thread(app: Flask) -> threading.Thread:
    def send() -> None:
        with app.app_context():
            tasks.send_due_calls()

    sender = threading.Thread(target=send)
    sender.start()
    return sender


def test_slow_endpoints_do_not_delay_others(hooks: Hooks, certificate: ssl.SSLContext, app: Flask) -> None:
    """Fourteen endpoints of two owners never respond; the only one of a third owner gets its calls."""
    released = threading.Event()

    def hang(_connection: ssl.SSLSocket, _request: Received) -> bool:
        released.wait(30)
        return False

    with Receiver(certificate, hang) as silent:
        slow_owners = [UserFactory.create(), UserFactory.create()]
        for owner in slow_owners:
            for number in range(7):
                hooks.make_endpoint(owner, 0, url=f"https://hooks.shop.example:{silent.port}/{number}")
            hooks.emit(owner, *({"n": n} for n in range(3)))
        hooks.make_endpoint(hooks.user, hooks.receiver.port)
        hooks.emit(hooks.user, *({"n": n} for n in range(150)))

        sender = send_in_thread(app)
        try:
            deadline = time.monotonic() + 60
            while len(hooks.receiver.requests) < 150 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(hooks.receiver.requests) == 150
            # None of the slow calls has ended, and their owners do not use all threads.
            assert len(silent.requests) <= len(slow_owners) * lane.TURNS_PER_OWNER < lane.THREADS
            assert sum(call.attempts for call in hooks.list_calls() if call.owner_id != hooks.user.id) == 0
        finally:
            released.set()
            sender.join(60)


def test_calls_of_a_dead_worker_are_sent_again_when_the_lease_has_expired(hooks: Hooks, app: Flask) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, {"n": 1})
    with app.app_context():
        (endpoint,) = claims.list_due_endpoints(utcnow())
        (turn,) = claims.claim({endpoint: 10}, utcnow())
        db.session.commit()
        allowed = app.config["WEBHOOKS_PRIVATE_NETWORKS"]
        late, connection = lane.send_turn(turn, None, allowed, lambda: False)
    assert connection is not None
    connection.close()
    hooks.send_calls()
    assert len(hooks.receiver.requests) == 1  # by the dead worker

    with time_machine.travel(turn.lease + timedelta(seconds=1)):
        hooks.send_calls()
        (call,) = hooks.list_calls()
        assert (call.state, call.attempts) == (CallState.DELIVERED, 1)
        assert hooks.receiver.ids[0] == hooks.receiver.ids[1]
        with app.app_context():  # it was only slow
            tasks.record([late])
    (call,) = hooks.list_calls()
    assert call.attempts == 1


def test_blocked_owners_get_no_calls(hooks: Hooks, session: Session) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, {"n": 1})
    hooks.user.blocked_at = utcnow()
    session.flush()

    hooks.send_calls()

    assert hooks.receiver.requests == []


def test_a_secret_that_cannot_be_read_is_reported(hooks: Hooks) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port, encrypted_secret="from another SECRET_KEY")
    hooks.emit(hooks.user, {"n": 1})

    hooks.send_calls()

    assert hooks.receiver.requests == []
    assert "secret" in hooks.list_calls()[0].last_response


def test_due_calls_are_found_by_the_sweep_after_redis_was_emptied(
    hooks: Hooks, app: Flask, work: Callable[[], None]
) -> None:
    hooks.make_endpoint(hooks.user, hooks.receiver.port)
    hooks.emit(hooks.user, {"n": 1})
    with app.app_context():
        queue.connection().flushall()
        jobs.sweep()
    work()

    assert len(hooks.receiver.requests) == 1
