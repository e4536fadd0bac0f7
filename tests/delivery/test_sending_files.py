"""Test that attached files reach every client, over real sessions and with real runs."""

import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.rendering.attachments import AttachedFile
from skymailing.delivery.run_files import load_files
from skymailing.delivery.smtp import pipeline
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.mailings.state_text import explain_state
from skymailing.messages import files
from skymailing.models import (
    RUN_TRANSITIONS,
    MailingState,
    MessageFile,
    Run,
    RunFile,
    RunState,
    StateReason,
    StoredFile,
    User,
)
from tests.delivery.conftest import ServeFrom, Start
from tests.delivery.handover import MemoryJournal, connect_to
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.scripted import Peer, scripted_server
from tests.delivery.tested import plan_tested, read_subject
from tests.faults.sink import Sink
from tests.support.factories import MessageFactory, create_clients, due_mailing
from tests.support.files import MEGABYTE, attach, list_attached, make_bytes
from tests.support.servers import SmtpServer


def test_every_client_gets_the_files_of_the_message(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    clients = create_clients(user, 20)
    message = MessageFactory.create(owner=user)
    attached = [("Счёт № 5.pdf", make_bytes(300_000)), ("price.xlsx", make_bytes(10))]
    for name, content in attached:
        attach(message, content, name)

    start(due_mailing(user, message=message))

    run = get_only_run(session)
    assert run.file_bytes == 300_010
    assert smtp.per_address() == {client.email: 1 for client in clients}
    check_ledger(session, run, smtp.letters)
    for letter in smtp.letters:
        assert list_attached(letter.parsed) == attached
        assert any(client.full_name in letter.text for client in clients)


def test_a_run_keeps_its_files_when_the_message_changes(
    app: Flask, session: Session, user: User, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    create_clients(user, 3)
    message = MessageFactory.create(owner=user)
    attach(message, b"old", "old.pdf")
    mailing = due_mailing(user, message=message)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
        jobs.start_mailing(mailing.id)
    session.execute(delete(MessageFile))
    attach(message, b"new", "new.pdf")

    work()

    assert len(smtp.letters) == 3
    assert all(list_attached(letter.parsed) == [("old.pdf", b"old")] for letter in smtp.letters)


def test_each_variant_has_the_files_of_its_message(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    create_clients(user, 30)
    first, other = MessageFactory.create(owner=user, subject="A"), MessageFactory.create(owner=user)
    attach(first, b"of A", "a.pdf")
    attach(other, b"of C", "c.pdf")
    variants = ({"subject": "B"}, {"subject": "C", "message_id": other.id})

    start(plan_tested(user, session, variants, message=first, sample_percent=100))

    found = {(read_subject(letter), *list_attached(letter.parsed)[0]) for letter in smtp.letters}
    assert found <= {("A", "a.pdf", b"of A"), ("B", "a.pdf", b"of A"), ("C", "c.pdf", b"of C")}
    assert len(found) > 1
    assert Counter(session.scalars(select(RunFile.variant))) == {1: 1, 2: 1, 3: 1}


def test_an_older_version_can_neither_plan_nor_send_a_run_with_files(
    app: Flask, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    attach(message, b"content")
    create_clients(user, 1)
    mailing = due_mailing(user, message=message)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    run = get_only_run(session)
    assert run.state is RunState.ATTACHED
    names = ("mailing_id", "subject", "format", "body", "sender_name", "reply_to", "started_at")
    values = {name: getattr(run, name) for name in names} | {"scheduled_for": utcnow() - timedelta(days=1)}
    with app.app_context():
        with pytest.raises(DBAPIError, match="files of its message"), db.engine.begin() as connection:
            connection.execute(insert(Run).values(values))
        for state in (RunState.PLANNED, RunState.SENDING, RunState.ROUTED, RunState.TESTED):
            sending = update(Run).where(Run.id == run.id).values(state=state)
            with pytest.raises(DBAPIError, match="own_files"), db.engine.begin() as connection:
                connection.execute(sending)


def test_a_finished_run_is_sent_again_with_its_files(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    (client,) = create_clients(user, 1)
    message = MessageFactory.create(owner=user)
    attach(message, b"content", "a.pdf")
    smtp.data_replies[client.email] = "554 5.7.1 no"
    mailing = due_mailing(user, message=message)
    start(mailing)
    session.refresh(mailing)
    session.execute(delete(MessageFile))
    smtp.data_replies.clear()

    with app.app_context():
        run = db.session.get(Run, get_only_run(session).id)
        assert run is not None
        RUN_TRANSITIONS.move(run, run.reopened_state)
        assert run.state is RunState.ATTACHED
        db.session.rollback()
        assert load_files(run.id, 0) == (AttachedFile("a.pdf", "application/pdf", b"content"),)


@pytest.mark.one_engine
def test_files_that_the_server_would_refuse_pause_the_mailing_before_the_first_letter(
    app: Flask, session: Session, user: User, start: Start, serve_from: ServeFrom
) -> None:
    create_clients(user, 5)
    message = MessageFactory.create(owner=user)
    attach(message, make_bytes(100_000))
    mailing = due_mailing(user, message=message)
    with Sink(extensions=("PIPELINING", "SIZE 100000")) as sink:
        serve_from(sink.port)
        start(mailing)
        assert not sink.letters

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason.startswith(StateReason.TOO_LARGE)
    assert count_states(session, get_only_run(session)) == {"pending": 5}
    with app.test_request_context():
        text = explain_state(mailing)
    assert "take up 134 KB" in text
    assert "up to 98 KB" in text


def make_letters(count: int, tail: bytes) -> list[Letter]:
    body = b"Subject: x\r\n\r\n.Hello\r\n"
    return [Letter(number, 1, f"c{number}@example.org", body, "", tail) for number in range(count)]


def hand_over(port: int, letters: list[Letter], seconds: float, sessions: int = 1) -> list[Verdict]:
    sender = Pipeline(partial(connect_to, port), "bounce@sky.example", MemoryJournal(), seconds)
    try:
        sender.connect(sessions)
        return [result.verdict for result in sender.hand_over(letters, time.monotonic() + 60)]
    finally:
        sender.close()


@pytest.mark.one_engine
def test_every_letter_arrives_with_the_shared_tail(smtp_server: SmtpServer) -> None:
    smtp_server.clear()
    tail = (b"x" * 70 + b"\r\n") * 10_000  # several pieces

    verdicts = hand_over(smtp_server.port, make_letters(20, tail), 30, sessions=5)

    assert verdicts == [Verdict.SENT] * 20
    assert {letter.content for letter in smtp_server.letters} == {b"Subject: x\r\n\r\n.Hello\r\n" + tail}
    assert len({letter.to for letter in smtp_server.letters}) == 20
    smtp_server.clear()


def drain(peer: Peer) -> None:
    """Accept letters without keeping or parsing them."""
    peer.greet("PIPELINING")
    while True:
        for reply in ("250 ok", "250 ok", "354 go"):
            peer.read()
            peer.send(reply)
        end = b""
        while not end.endswith(b"\r\n.\r\n"):
            line = peer.file.readline()
            if not line:
                return
            end = (end + line)[-5:]
        peer.send("250 accepted")


@pytest.mark.one_engine
def test_memory_does_not_grow_with_the_number_of_letters() -> None:
    tail = (b"x" * 2_000 + b"\r\n") * 500  # 1 MB; long lines are fast to read
    with scripted_server(drain) as port:
        tracemalloc.start()
        try:
            verdicts = hand_over(port, make_letters(300, tail), 60, sessions=10)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert verdicts == [Verdict.SENT] * 300
    assert peak < 12 * MEGABYTE


@pytest.mark.one_engine
def test_a_letter_with_files_may_take_longer_while_its_body_is_being_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        for reply in ("250 ok", "250 ok", "354 go"):
            peer.read()
            peer.send(reply)
        time.sleep(1)
        peer.read_body()
        peer.send("250 accepted")

    tail = (b"x" * 70 + b"\r\n") * 100_000
    monkeypatch.setattr(pipeline, "SLOWEST", len(tail) / 30)
    with scripted_server(serve) as port:
        assert hand_over(port, make_letters(1, tail), seconds=0.6) == [Verdict.SENT]
    monkeypatch.setattr(pipeline, "SLOWEST", len(tail) * 100)
    with scripted_server(serve) as port:
        assert hand_over(port, make_letters(1, tail), seconds=0.6) == [Verdict.DEFERRED]


@pytest.mark.one_engine
def test_a_refusal_in_the_middle_of_a_body_counts() -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        for reply in ("250 ok", "250 ok", "354 go"):
            peer.read()
            peer.send(reply)
        peer.read()
        peer.send("552 5.3.4 too large")
        peer.read_body()

    with scripted_server(serve) as port:
        assert hand_over(port, make_letters(1, (b"x" * 70 + b"\r\n") * 100_000), 30) == [Verdict.FAILED]


def test_a_file_is_deleted_once_nothing_uses_it(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    create_clients(user, 1)
    message = MessageFactory.create(owner=user)
    attach(message, b"sent", "sent.pdf")
    attach(message, b"not sent", "unsent.pdf")
    attach(MessageFactory.create(owner=user), make_bytes(MEGABYTE // 2), "kept.pdf")
    for file in session.scalars(select(MessageFile).where(MessageFile.name == "unsent.pdf")):
        session.delete(file)
    session.flush()
    start(due_mailing(user, message=message))
    session.execute(delete(MessageFile).where(MessageFile.message_id == message.id))

    assert delete_unused(app, hours=0) == 0, "they have just been uploaded"
    assert delete_unused(app, hours=2) == 1
    assert sorted(session.scalars(select(StoredFile.size))) == [4, MEGABYTE // 2]
    session.execute(delete(RunFile))
    assert delete_unused(app, hours=2) == 1


def delete_unused(app: Flask, hours: int) -> int:
    (Path(app.config["DATA_DIR"]) / files.MARK).unlink(missing_ok=True)
    with app.app_context():
        return files.delete_unused(utcnow() + timedelta(hours=hours))
