"""Test the files of transactional letters: those that programs send, and those of the letter's message."""

import base64
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.delivery import transactional
from skymailing.models import (
    CaughtLetter,
    LetterContent,
    LetterFile,
    Mailing,
    MailingState,
    Run,
    RunState,
    StoredFile,
    User,
)
from tests.api.conftest import Program
from tests.conftest import SetLimits, SignIn
from tests.delivery.conftest import ServeFrom
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.sink import Sink
from tests.letters.conftest import LETTER, VALUES, CloseDay, Send, leave_unknown
from tests.support.factories import MessageFactory
from tests.support.files import MEGABYTE, attach, list_attached, make_bytes
from tests.support.servers import SmtpServer

PDF = make_bytes(2_000)


def encode(content: bytes = PDF, name: str = "Счёт № 5.pdf") -> dict[str, str]:
    return {"name": name, "content": base64.b64encode(content).decode()}


def list_received(smtp: SmtpServer) -> list[list[tuple[str | None, bytes]]]:
    """Return the files of each letter that arrived."""
    parsed = [message_from_bytes(letter.content, policy=policy.default) for letter in smtp.letters]
    return [list_attached(letter) for letter in parsed]


@pytest.mark.parametrize("format", ["markdown", "text"])
def test_a_letter_arrives_with_its_files(
    send: Send, program: Program, smtp: SmtpServer, work: Callable[[], None], format: str, close_day: CloseDay
) -> None:
    sent = send(format=format, attachments=[encode(), encode(b"a,b\r\n", "list.csv")])
    work()
    assert list_received(smtp) == [[("Счёт № 5.pdf", PDF), ("list.csv", b"a,b\r\n")]]
    found = program.read(f"/letters/{sent['id']}")
    assert found["state"] == "sent"
    assert [(file["name"], file["content_type"], file["size"]) for file in found["attachments"]] == [
        ("Счёт № 5.pdf", "application/pdf", len(PDF)),
        ("list.csv", "text/csv", 5),
    ]
    assert close_day().planned == 1


def test_the_files_of_the_message_come_before_those_of_the_program(
    program: Program, session: Session, user: User, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    message = MessageFactory.create(owner=user, body="Hello {{ name }}")
    attach(message, PDF, "terms.pdf")
    session.commit()
    letter = {"to": "a@example.org", "message_id": message.id, "name": "Ann"}
    program.write("POST", "/letters", letter, 201)
    program.write("POST", "/letters", letter | {"attachments": [encode(b"1", "ticket.pdf")]}, 201)
    assert program.send("DELETE", f"/messages/{message.id}").status_code == 204
    work()
    files = {len(files): files for files in list_received(smtp)}
    assert files == {
        1: [("terms.pdf", PDF)],
        2: [("terms.pdf", PDF), ("ticket.pdf", b"1")],
    }


def test_letters_with_the_same_files_share_them(send: Send, session: Session) -> None:
    for attachments in ([encode()], [encode()], [encode(name="other.pdf")], [encode(), encode()], []):
        send(attachments=attachments)
    tables = (LetterContent, LetterFile, StoredFile)
    counts = [session.scalar(select(func.count()).select_from(table)) for table in tables]
    assert counts == [4, 4, 1]


def test_letters_with_files_have_a_run_of_their_own_that_older_versions_do_not_pick_up(
    app: Flask, send: Send, session: Session, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    send()
    send(attachments=[encode()])
    send(attachments=[encode(b"2")])
    runs = session.scalars(select(Run).order_by(Run.file_bytes)).all()
    assert [(run.state, run.planned) for run in runs] == [
        (RunState.TRANSACTIONAL, 1),
        (RunState.ATTACHED_LETTERS, 2),
    ]
    assert runs[1].file_bytes == app.config["QUOTAS"].files_per_message_mb * MEGABYTE
    work()
    session.expire_all()
    assert len(smtp.letters) == 3
    for run in runs:
        assert count_states(session, run) == {"sent": run.planned}


@pytest.mark.parametrize(
    ("attachments", "status", "pointer", "code"),
    [
        ([{"name": "a.pdf", "content": "no base64!"}], 422, "/attachments/0/content", "file_not_base64"),
        ([encode(), encode(b"MZ", "setup.exe")], 422, "/attachments/1", "file_type_refused"),
        ([{"name": "a.pdf", "content": " "}], 422, "/attachments/0", "file_empty"),
        ([{"name": "a.pdf"}], 422, "/attachments/0/content", "required"),
        ([encode(b"1")] * 11, 422, "/attachments", "file_too_many"),
        ([encode(make_bytes(3 * MEGABYTE))] * 2, 422, "/attachments", "file_total_too_large"),
        ("a.pdf", 422, "/attachments", None),
    ],
)
def test_files_that_cannot_be_attached_are_refused(
    send: Send, session: Session, attachments: Any, status: int, pointer: str, code: str | None
) -> None:
    answer = send(status, attachments=attachments)
    (error,) = answer["errors"]
    assert error["pointer"] == pointer
    assert code in (None, error["code"])
    session.rollback()
    for table in (LetterContent, StoredFile, Run):
        assert session.scalar(select(func.count()).select_from(table)) == 0


def test_an_owner_without_room_for_a_file_gets_an_error(
    send: Send, session: Session, set_limits: SetLimits
) -> None:
    set_limits(files_mb=1)
    answer = send(409, attachments=[encode(make_bytes(MEGABYTE + 1))])
    assert answer["code"] == "file_no_space"
    session.rollback()
    assert session.scalar(select(func.count()).select_from(LetterContent)) == 0


@pytest.mark.one_engine
def test_a_letter_that_is_too_large_for_the_mail_server_fails_alone(
    program: Program, send: Send, session: Session, work: Callable[[], None], serve_from: ServeFrom
) -> None:
    with Sink(extensions=("PIPELINING", "SIZE 100000")) as sink:
        serve_from(sink.port)
        large = send(attachments=[encode(make_bytes(100_000))])
        small = send(to="bo@example.org", attachments=[encode()])
        work()
        assert len(sink.letters) == 1
    failed = program.read(f"/letters/{large['id']}")
    assert failed["state"] == "failed"
    assert "accepts at most 100000" in failed["attempts"][0]["answer"]
    assert program.read(f"/letters/{small['id']}")["state"] == "sent"
    assert session.scalars(select(Mailing.state)).one() is MailingState.RUNNING


def test_a_worker_keeps_few_files_in_memory(
    app: Flask,
    send: Send,
    smtp: SmtpServer,
    work: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transactional, "MAX_FILE_BYTES", 10_000)
    for number in range(12):
        send(to=f"{number}@example.org", attachments=[encode(make_bytes(2_000, number))])
    work()
    contents = {content for ((_name, content),) in list_received(smtp)}
    assert contents == {make_bytes(2_000, number) for number in range(12)}


def test_test_keys_catch_the_files(
    tester: Program, session: Session, work: Callable[[], None], smtp: SmtpServer
) -> None:
    tester.write("POST", "/letters", LETTER | {"values": VALUES, "attachments": [encode()]}, 201)
    work()
    assert not smtp.letters
    caught = session.scalars(select(CaughtLetter)).one()
    letter = message_from_bytes(caught.source, policy=policy.default)
    assert list_attached(letter) == [("Счёт № 5.pdf", PDF)]
    assert session.scalars(select(Run.state)).one() is RunState.CAUGHT_LETTERS


def test_an_unknown_letter_is_sent_again_with_its_files(
    app: Flask,
    send: Send,
    session: Session,
    user: User,
    smtp: SmtpServer,
    work: Callable[[], None],
    sign_in: SignIn,
) -> None:
    send(attachments=[encode()])
    leave_unknown(app, session)
    with time_machine.travel(utcnow() + timedelta(days=1)):
        with app.app_context():
            jobs.sweep()
        work()
        assert get_only_run(session).state is RunState.FINISHED
        page = sign_in(user).post("/letters/settle-unknowns", data={"decision": "resend"})
        assert page.status_code == 302
        assert get_only_run(session).state is RunState.ATTACHED_LETTERS
        work()
    assert list_received(smtp) == [[("Счёт № 5.pdf", PDF)]]
