"""Idempotency-Key: a repeated request changes nothing, even if the first one was interrupted."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.api import idempotency
from skymailing.api.views import blueprint
from skymailing.api.views import idempotency as idempotent_views
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Client, IdempotentRequest, User
from skymailing.periodic import PERIODIC_TASKS
from tests.api.conftest import LETTER, MakeProgram, Program
from tests.support.factories import UserFactory
from tests.support.steps import StepTracer, kill_process

KEY = {"Idempotency-Key": "order-7"}
ANNA = {"email": "anna@example.org"}


def count_clients(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Client)) or 0


def test_a_repeated_request_gets_the_first_response(program: Program, session: Session) -> None:
    first = program.post("/clients", ANNA, headers=KEY)
    again = program.post("/clients", ANNA, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert again.data == first.data
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count_clients(session) == 1


def test_beyond_the_limit_a_response_is_repeated_without_its_body(
    program: Program, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotent_views, "MAX_STORED", 100)
    for number in range(2):
        headers = {"Idempotency-Key": f"order-{number}"}
        first, again = (
            program.post("/clients", {"email": f"c{number}@example.org"}, headers=headers) for _ in range(2)
        )
        assert (again.status_code, again.headers["Location"]) == (201, first.headers["Location"])
        assert again.data == (b"" if number else first.data)
    assert count_clients(session) == 2


def test_an_error_is_not_repeated_once_its_cause_is_gone(program: Program) -> None:
    program.post("/clients", ANNA)
    assert program.refuse("POST", "/clients", ANNA, headers=KEY)[:2] == (409, "client_duplicate")
    program.send("DELETE", f"/clients/{program.read('/clients')['data'][0]['id']}")
    assert program.post("/clients", ANNA, headers=KEY).status_code == 201


def test_after_an_error_the_corrected_request_can_have_the_same_key(program: Program) -> None:
    missing = LETTER | {"values": {}}
    assert program.refuse("POST", "/letters", missing, headers=KEY)[:2] == (422, "missing_values")
    assert program.post("/letters", LETTER, headers=KEY).status_code == 201
    assert program.refuse("POST", "/letters", missing, headers=KEY)[:2] == (422, "idempotency_key_reused")
    assert len(program.read_all("/letters")) == 1


def test_an_interrupted_request_can_be_corrected(app: Flask, program: Program, user: User) -> None:
    """The process was killed between the error and the release of the key."""
    with app.app_context():
        idempotency.claim(user.id, "order-7", idempotency.hash_request("POST", "/", b""), utcnow())
        db.session.commit()
    assert program.refuse("POST", "/clients", ANNA, headers=KEY)[:2] == (422, "idempotency_key_reused")
    with time_machine.travel(utcnow() + idempotency.LEASE + timedelta(seconds=1)):
        assert program.post("/clients", ANNA, headers=KEY).status_code == 201


@pytest.mark.parametrize("name", ["o17", "x" * 255])
def test_a_letter_that_was_tried_with_a_test_key_is_sent_with_a_live_key(
    program: Program, tester: Program, name: str
) -> None:
    headers = {"Idempotency-Key": name}
    caught = tester.post("/letters", LETTER, headers=headers)
    sent = program.post("/letters", LETTER, headers=headers)
    assert caught.json is not None
    assert sent.json is not None
    assert (caught.json["test"], sent.json["test"]) == (True, False)
    assert "Idempotency-Replayed" not in sent.headers
    for sender, first in ((program, sent), (tester, caught)):
        again = sender.post("/letters", LETTER, headers=headers)
        assert (again.headers["Idempotency-Replayed"], again.data) == ("true", first.data)
    assert len(program.read_all("/letters")) == len(tester.read_all("/letters")) == 1


@pytest.mark.parametrize(("path", "body"), [("/clients", {"email": "b@example.org"}), ("/tags", ANNA)])
def test_a_key_belongs_to_one_request(program: Program, session: Session, path: str, body: Any) -> None:
    program.post("/clients", ANNA, headers=KEY)
    assert program.refuse("POST", path, body, headers=KEY)[:2] == (422, "idempotency_key_reused")
    assert count_clients(session) == 1


def test_keys_belong_to_their_owner(program: Program, make_program: MakeProgram, session: Session) -> None:
    other = make_program(UserFactory.create())
    for sender in (program, other):
        assert "Idempotency-Replayed" not in sender.post("/clients", ANNA, headers=KEY).headers
    assert count_clients(session) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "é"])
def test_an_invalid_key_is_refused(program: Program, key: str) -> None:
    headers = {"Idempotency-Key": key}
    assert program.refuse("POST", "/clients", ANNA, headers=headers)[:2] == (400, "idempotency_key_invalid")


def test_after_a_day_a_key_can_be_used_again(program: Program, app: Flask, session: Session) -> None:
    program.post("/tags", {"name": "a"}, headers=KEY)
    with time_machine.travel(utcnow() + idempotency.LIFETIME + timedelta(minutes=1)):
        assert program.post("/tags", {"name": "b"}, headers=KEY).status_code == 201
        with app.app_context():
            idempotency.delete_expired(utcnow())
            db.session.commit()
    assert session.scalar(select(func.count()).select_from(IdempotentRequest)) == 1


def test_the_sweep_deletes_old_responses(program: Program, app: Flask, session: Session) -> None:
    program.post("/tags", {"name": "a"}, headers=KEY)
    (delete_expired,) = [
        task for task in PERIODIC_TASKS if getattr(task, "__name__", "") == "_delete_expired"
    ]
    with app.app_context():
        delete_expired(utcnow() + timedelta(hours=23))
        assert session.scalar(select(func.count()).select_from(IdempotentRequest)) == 1
        delete_expired(utcnow() + timedelta(hours=25))
    assert session.scalar(select(func.count()).select_from(IdempotentRequest)) == 0


def test_the_response_to_an_internal_error_is_not_repeated(
    app: Flask, program: Program, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError

    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    with monkeypatch.context() as patch:
        patch.setattr("skymailing.clients.services.change_tags", fail)
        assert program.refuse("POST", "/clients", ANNA, headers=KEY)[0] == 500
    assert count_clients(session) == 0
    assert program.post("/clients", ANNA, headers=KEY).status_code == 201


def test_simultaneous_requests_change_once(
    app: Flask, make_program: MakeProgram, session: Session, user: User
) -> None:
    key = make_program(user).key

    def send(_number: int) -> int:
        return Program(app.test_client(), key).post("/tags", {"name": "a"}, headers=KEY).status_code

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(send, range(12)))
    assert 201 in statuses
    assert set(statuses) <= {201, 409}
    row = session.scalars(select(IdempotentRequest)).one()
    assert (row.status, row.lease_until) == (201, None)


def test_a_running_request_is_not_repeated_until_its_lease_ends(
    app: Flask, program: Program, session: Session, user: User
) -> None:
    path, body = "/api/v1/tags?", b'{"name": "a"}'
    with app.app_context():
        idempotency.claim(user.id, "order-7", idempotency.hash_request("POST", path, body), utcnow())
        db.session.commit()
    response = program.post("/tags", {"name": "a"}, headers=KEY)
    assert response.status_code == 409
    assert response.json is not None
    assert response.json["code"] == "idempotency_running"
    assert 0 < int(response.headers["Retry-After"]) <= 61
    with time_machine.travel(utcnow() + idempotency.LEASE + timedelta(seconds=1)):
        assert program.post("/tags", {"name": "a"}, headers=KEY).status_code == 201


def test_a_request_that_lost_its_lease_changes_nothing(
    app: Flask, program: Program, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request takes longer than its lease, and the repeated one takes over in the meantime."""
    original = blueprint.attempt_change

    def attempt_slowly(handler: Callable[[], Any]) -> Any:
        monkeypatch.setattr(blueprint, "attempt_change", original)
        with time_machine.travel(utcnow() + idempotency.LEASE + timedelta(seconds=1)):
            again = Program(app.test_client(), program.key).post("/clients", ANNA, headers=KEY)
        assert again.status_code == 201
        return original(handler)

    monkeypatch.setattr(blueprint, "attempt_change", attempt_slowly)
    assert program.post("/clients", ANNA, headers=KEY).status_code in (201, 409)
    assert count_clients(session) == 1


STEPS = {idempotency.__file__, idempotent_views.__file__, blueprint.__file__}


def send_and_die(app: Flask, key: str, killed_at: int) -> int:
    """Send a request in a process that is killed before one of its steps; return how many it has taken."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with app.app_context():
            db.engine.dispose(close=False)
        with StepTracer(STEPS, killed_at, kill_process) as steps:
            Program(app.test_client(), key).post("/clients", ANNA, headers=KEY)
        os.write(writing, str(steps.count).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        text = output.read()
    os.waitpid(pid, 0)
    return int(text or 0)


def test_a_process_killed_at_any_step_changes_once(
    app: Flask, session: Session, make_program: MakeProgram
) -> None:
    with app.app_context():
        db.engine.dispose()
    steps = send_and_die(app, make_program(UserFactory.create()).key, 0)
    assert steps > 30
    for killed_at in range(1, steps + 1, 3):
        owner = UserFactory.create()
        program = make_program(owner)
        send_and_die(app, program.key, killed_at)
        with time_machine.travel(utcnow() + idempotency.LEASE + timedelta(seconds=1)):
            response = program.post("/clients", ANNA, headers=KEY)
        assert response.status_code == 201, (killed_at, response.text)
        of_owner = select(func.count()).where(Client.owner_id == owner.id)
        assert session.scalar(of_owner) == 1, killed_at
