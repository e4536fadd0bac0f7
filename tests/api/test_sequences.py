"""Sequences through the API."""

from typing import Any

import pytest
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.api.conftest import MakeProgram, Program
from tests.support.factories import ClientFactory, MessageFactory
from tests.support.sequence_factories import Sequences, days


def test_a_program_reads_starts_and_pauses_a_sequence(program: Program, sequences: Sequences) -> None:
    sequence = sequences.create(days(0), days(3), is_started=False)
    path = f"/sequences/{sequence.id}"
    assert [row["id"] for row in program.read_all("/sequences")] == [sequence.id]
    assert [step["wait"] for step in program.read(path)["steps"]] == [0, 3]
    assert program.write("POST", f"{path}/start", {})["state"] == "active"
    assert program.write("POST", f"{path}/pause", {})["state"] == "paused"
    empty = sequences.create(is_started=False)
    refused = program.refuse("POST", f"/sequences/{empty.id}/start", {})
    assert refused[:2] == (409, "sequence_no_steps")


def test_a_program_adds_a_client_once_and_removes_it(
    program: Program, sequences: Sequences, user: User
) -> None:
    client, stranger = ClientFactory.create(owner=user), ClientFactory.create()
    sequence = sequences.create(days(0))
    path = f"/sequences/{sequence.id}/enrolments"
    added = program.write("POST", path, {"client_id": client.id}, 201)
    assert (added["state"], added["client_id"]) == ("active", client.id)
    assert program.refuse("POST", path, {"client_id": client.id})[:2] == (409, "sequence_on_the_way")
    refused = program.refuse("POST", path, {"client_id": stranger.id})
    assert refused == (422, "sequence_client_missing", ["/client_id"])
    enrolment = f"/enrolments/{added['id']}"
    assert program.write("POST", f"{enrolment}/leave", {})["left_reason"] == "removed"
    assert program.refuse("POST", f"{enrolment}/leave", {})[:2] == (409, "sequence_not_on_the_way")
    assert program.refuse("POST", path, {"client_id": client.id})[:2] == (409, "sequence_entered_before")
    again = program.write("POST", path, {"client_id": client.id, "repeat": True}, 201)
    assert [row["id"] for row in program.read_all(f"{path}?state=active")] == [again["id"]]


def test_programs_can_read_but_not_change_the_mailing_of_a_step(
    program: Program, sequences: Sequences, session: Session
) -> None:
    sequence = sequences.create(days(1))
    (step,) = sequences.list_steps(sequence)
    path = f"/mailings/{step.mailing_id}"
    assert program.read(path)["state"] == "running"
    assert program.read_all(f"{path}/runs") == []
    for action in ("start", "pause", "resume", "cancel"):
        assert program.refuse("POST", f"{path}/{action}", {})[:2] == (404, "not_found")
    assert program.refuse("PATCH", path, {"name": "Other"})[0] == 404
    assert program.refuse("DELETE", path)[0] == 404
    session.refresh(step.mailing)
    assert step.mailing.state == "running"


def test_a_program_sets_up_a_welcome_sequence(program: Program, sequences: Sequences, user: User) -> None:
    message, tag = MessageFactory.create(owner=user), sequences.tag("lead")
    values = {
        "name": "Welcome",
        "trigger": "tag",
        "tag_id": tag.id,
        "reenter_days": 30,
        "on_late": "skip",
        "weekdays": [1, 2],
        "opens_at": "09:00",
        "closes_at": "18:00",
        "exit_conditions": {"field": "tag", "op": "is", "value": "lead"},
    }
    created = program.write("POST", "/sequences", values, 201)
    assert created | values == created
    assert (created["state"], created["steps"], created["version"]) == ("draft", [], 1)
    path = f"/sequences/{created['id']}"
    second = program.write("POST", f"{path}/steps", {"message_id": message.id, "wait": 3}, 201)
    first = program.write("POST", f"{path}/steps", {"message_id": message.id, "before": second["id"]}, 201)
    assert (second["wait"], second["wait_unit"], second["at_time"]) == (3, "days", None)
    assert [step["id"] for step in program.read(path)["steps"]] == [first["id"], second["id"]]
    changed = program.write("PATCH", f"/steps/{second['id']}", {"at_time": "10:30", "wait": 2})
    assert (
        changed
        == second | {"at_time": "10:30", "wait": 2, "version": 2}
        == program.read(f"/steps/{second['id']}")
    )
    program.write("PATCH", f"/steps/{first['id']}", {"before": None})
    assert [step["id"] for step in program.read(path)["steps"]] == [second["id"], first["id"]]
    saved = program.write("PATCH", path, {"name": "Hello", "weekdays": []})
    assert (saved["name"], saved["weekdays"], saved["tag_id"]) == ("Hello", [], tag.id)
    assert program.send("DELETE", f"/steps/{second['id']}").status_code == 204
    assert program.write("POST", f"{path}/start", {})["state"] == "active"
    assert program.refuse("DELETE", f"/steps/{first['id']}")[:2] == (409, "sequence_last_step")
    assert program.write("POST", f"{path}/archive", {})["state"] == "archived"
    assert program.refuse("PATCH", path, {"name": "Late"})[:2] == (409, "sequence_archived")
    assert program.send("DELETE", path).status_code == 204
    assert program.refuse("GET", path)[0] == 404
    assert program.refuse("GET", f"/steps/{first['id']}")[0] == 404


@pytest.mark.parametrize(
    ("values", "code", "pointer"),
    [
        ({"name": " "}, "invalid", "/name"),
        ({"trigger": "tag", "tag_id": 999_999}, "sequence_target_missing", "/tag_id"),
        ({"tag_id": 1}, "sequence_other_trigger", "/tag_id"),
        ({"date_key": "born"}, "sequence_other_trigger", "/date_key"),
        ({"sender_id": 999_999}, "sequence_target_missing", "/sender_id"),
        ({"opens_at": "09:00"}, "sequence_hours_invalid", "/opens_at"),
        ({"reenter_days": 0}, "invalid", "/reenter_days"),
        (
            {"exit_conditions": {"all": [{"field": "email", "op": "is_set"}, {"field": "x", "op": "is"}]}},
            "segment_field_unknown",
            "/exit_conditions/all/1",
        ),
    ],
)
def test_wrong_values_have_a_pointer(
    program: Program, values: dict[str, Any], code: str, pointer: str
) -> None:
    refused = program.refuse("POST", "/sequences", {"name": "Welcome"} | values)
    assert refused == (422, code, [pointer])


def test_wrong_steps_have_a_pointer(program: Program, sequences: Sequences, user: User) -> None:
    message, foreign = MessageFactory.create(owner=user), MessageFactory.create()
    sequence, other = (sequences.create(days(0), is_started=False) for _ in range(2))
    path = f"/sequences/{sequence.id}/steps"
    (elsewhere,) = sequences.list_steps(other)
    for values, code, pointer in (
        ({"message_id": foreign.id}, "sequence_target_missing", "/message_id"),
        ({"wait": 2_000, "wait_unit": "minutes"}, "sequence_wait_invalid", "/wait"),
        ({"before": elsewhere.id}, "sequence_target_missing", "/before"),
        ({"conditions": {"field": "tag", "op": "is", "value": "no"}}, "segment_tag_missing", "/conditions"),
    ):
        refused = program.refuse("POST", path, {"message_id": message.id} | values)
        assert refused == (422, code, [pointer]), values
    assert len(program.read(f"/sequences/{sequence.id}")["steps"]) == 1


def test_changing_a_running_sequence_needs_the_scope_to_send(
    make_program: MakeProgram, sequences: Sequences, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    writer = make_program(user, scopes=["mailings:read", "mailings:write"])
    draft, started = sequences.create(days(0), is_started=False), sequences.create(days(0), days(1))
    writer.write("PATCH", f"/sequences/{draft.id}", {"name": "Mine"})
    step = sequences.list_steps(started)[1]
    for method, path, values in (
        ("PATCH", f"/sequences/{started.id}", {"name": "Mine"}),
        ("POST", f"/sequences/{started.id}/steps", {"message_id": message.id}),
        ("PATCH", f"/steps/{step.id}", {"wait": 0}),
        ("DELETE", f"/steps/{step.id}", None),
    ):
        assert writer.refuse(method, path, values)[:2] == (403, "scope_missing"), path
    assert [row.wait for row in sequences.list_steps(started)] == [0, 1]


def test_a_step_is_added_once_and_changed_only_as_read(
    program: Program, sequences: Sequences, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    sequence = sequences.create(is_started=False)
    path, body = f"/sequences/{sequence.id}/steps", {"message_id": message.id}
    responses = [program.send("POST", path, body, headers={"Idempotency-Key": "step-1"}) for _ in range(2)]
    assert responses[0].json == responses[1].json
    (step,) = sequences.list_steps(sequence)
    etag = program.get(f"/steps/{step.id}").headers["ETag"]
    for status in (200, 412):
        changed = program.send("PATCH", f"/steps/{step.id}", {"wait": 4}, headers={"If-Match": etag})
        assert changed.status_code == status
