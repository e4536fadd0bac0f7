"""Sequences through the API."""

from sqlalchemy.orm import Session

from skymailing.models import User
from tests.api.conftest import Program
from tests.support.factories import ClientFactory
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


def test_a_program_adds_a_client_once_and_takes_it_out(
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


def test_programs_read_what_holds_the_letters_of_a_step_but_do_not_change_it(
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
