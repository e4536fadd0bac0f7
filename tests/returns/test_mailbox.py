"""Test the mailbox for returned mail: reading over IMAP or POP3, crashes, and letters that cannot be read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import counters, hints, periodic, queue
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import ReturnedLetter, User
from skymailing.monitoring.doctor.run import run_checks
from skymailing.returns import tasks
from skymailing.returns.tasks import Reading, read_mailbox
from skymailing.settings.returned_mail import MailboxAddress, returned_mail_settings
from tests.returns.letters import ENGLISH_VACATION
from tests.returns.scenes import Desk
from tests.support.mailboxes import MailboxServer
from tests.support.servers import RedisServer

pytestmark = pytest.mark.one_engine

QUESTION = b"From: ann@example.org\r\n\r\nCall me\r\n"


@pytest.fixture
def desk(app: Flask, session: Session, user: User) -> Desk:
    return Desk(app, session, user)


@pytest.fixture(params=["imaps", "pop3s"])
def mailbox(
    request: pytest.FixtureRequest, app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[MailboxServer]:
    """Yield a server whose mailbox the app reads."""
    server = MailboxServer(request.param, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", server.certificates)
    set_mailbox(app, monkeypatch, server.url)
    with server.run():
        yield server


def set_mailbox(app: Flask, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with app.app_context():
        settings = replace(returned_mail_settings(), mailbox=MailboxAddress.parse(url))
    monkeypatch.setitem(app.config, "RETURNED_MAIL", settings)


def read(app: Flask, should_stop: Callable[[float], bool] = lambda _seconds: False) -> Reading:
    with app.app_context():
        return read_mailbox(should_stop)


def count_letters(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ReturnedLetter)) or 0


def test_the_panel_learns_when_it_was_read(
    desk: Desk, mailbox: MailboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk.app.app_context():
        queue.connection().delete(counters.KEY)
        began = utcnow().timestamp()
        read(desk.app)
        assert counters.read()["mailbox_read"] >= began
        assert "mailbox_failed" not in counters.read()
        set_mailbox(desk.app, monkeypatch, mailbox.url.replace("//", "//x"))
        read(desk.app)
        assert counters.read()["mailbox_failed"] >= began


def test_letters_are_read_and_moved(desk: Desk, mailbox: MailboxServer) -> None:
    delivery = desk.send()
    mailbox.add(desk.bounce(delivery), ENGLISH_VACATION, QUESTION, b"From: x\r\n\r\n.dots\r\n..\r\n", b"")

    reading = read(desk.app)

    assert (reading.understood, reading.unclear, reading.fault) == (2, 3, "")
    assert desk.suppressions() == {delivery.email_key: "bounced"}
    if mailbox.url.startswith("imaps"):
        assert mailbox.count() == {"INBOX": 0, "Processed": 2, "Not understood": 3}
    else:
        assert mailbox.count() == {"INBOX": 0}
    raw = desk.session.scalars(select(ReturnedLetter.raw)).all()
    assert any(b"\r\n.dots\r\n..\r\n" in letter for letter in raw)
    assert read(desk.app) == Reading()


def test_a_crash_between_the_commit_and_the_move_repeats_what_changes_nothing(
    desk: Desk, mailbox: MailboxServer
) -> None:
    deliveries = [desk.send() for _ in range(3)]
    mailbox.add(*[desk.bounce(delivery) for delivery in deliveries])
    for command in ("MOVE",) if mailbox.url.startswith("imaps") else ("DELE", "QUIT"):
        mailbox.dies_before = command
        with desk.app.app_context():
            address = returned_mail_settings().mailbox
            assert address is not None
            tasks._read_session(address, Reading(), lambda: True)
        desk.session.expire_all()
        assert len(desk.suppressions()) == 3
        assert mailbox.count()["INBOX"] == 3

    reading = read(desk.app)

    assert reading.understood == 3
    assert mailbox.count()["INBOX"] == 0
    assert count_letters(desk.session) == 3
    assert [delivery.run.returned for delivery in deliveries] == [1, 1, 1]


def test_a_letter_that_the_server_cannot_return_does_not_stop_the_others(
    desk: Desk, mailbox: MailboxServer
) -> None:
    mailbox.add(*[QUESTION + str(number).encode() for number in range(60)])
    mailbox.lost_letters = {2, 5}

    reading = read(desk.app)

    assert (reading.unclear, reading.skipped) == (58, 2)
    assert sorted(mailbox.inbox) == [2, 5]


def test_letters_that_another_program_removes_cause_no_error(desk: Desk, mailbox: MailboxServer) -> None:
    """An IMAP server returns nothing when a client requests letters that have been removed."""
    for command in ("SELECT", "FETCH") if mailbox.url.startswith("imaps") else ("STAT",):
        mailbox.add(*[QUESTION + str(number).encode() for number in range(60)])
        mailbox.empties_after = command

        reading = read(desk.app)

        assert (reading.understood, reading.unclear, reading.fault) == (0, 0, ""), command
        assert mailbox.count()["INBOX"] == 0


@pytest.mark.only_on("sqlite", reason="its triggers can reject a row in one statement")
def test_a_letter_that_is_not_stored_remains_and_does_not_stop_the_others(
    desk: Desk, mailbox: MailboxServer
) -> None:
    deliveries = [desk.send() for _ in range(4)]
    mailbox.add(*[desk.bounce(delivery) for delivery in deliveries])
    with reject_bounce(desk.app, deliveries[1].id):
        reading = read(desk.app)

    assert (reading.understood, reading.skipped) == (3, 1)
    assert sorted(mailbox.inbox) == [2]
    assert len(desk.suppressions()) == 3


@contextmanager
def reject_bounce(app: Flask, delivery_id: int) -> Iterator[None]:
    """Make the database reject a bounce of this delivery."""
    # The name is unique, because other connections may not know yet that an earlier trigger was removed.
    name = f"refuse_{uuid4().hex}"
    refuse = f"WHEN NEW.delivery_id = {delivery_id} BEGIN SELECT RAISE(ABORT, 'refused'); END"
    with app.app_context():
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TRIGGER {name} BEFORE INSERT ON bounces {refuse}")
        try:
            yield
        finally:
            with db.engine.begin() as connection:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")


def test_a_long_letter_is_read_in_part(desk: Desk, mailbox: MailboxServer) -> None:
    delivery = desk.send()
    mailbox.add(desk.bounce(delivery) + b"x" * 70 + (b"y" * 900 + b"\n") * 60_000)

    assert read(desk.app).understood == 1
    assert desk.suppressions() == {delivery.email_key: "bounced"}


def test_the_reader_stops_when_asked_and_continues_later(
    desk: Desk, mailbox: MailboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SESSION", 20)
    monkeypatch.setattr(tasks, "PAGE", 10)
    mailbox.add(*[QUESTION + str(number).encode() for number in range(55)])
    pages: list[float] = []

    def stop_after_three(seconds: float) -> bool:
        pages.append(seconds)
        return len(pages) > 3

    reading = read(desk.app, stop_after_three)

    assert reading.is_unfinished
    assert reading.unclear >= 30
    assert not read(desk.app).is_unfinished
    assert mailbox.count()["INBOX"] == 0


def test_one_process_at_a_time_reads(desk: Desk, mailbox: MailboxServer) -> None:
    mailbox.add(QUESTION)
    with desk.app.app_context():
        assert queue.hold_lease("mailbox", "another", 60)
        assert read_mailbox(lambda _seconds: False) == Reading()
        queue.end_lease("mailbox", "another")
    assert mailbox.sessions == 0
    assert read(desk.app).unclear == 1


def test_the_sweep_reads_the_mailbox_every_two_minutes(
    desk: Desk, mailbox: MailboxServer, work: Callable[[], None], redis_server: RedisServer
) -> None:
    mailbox.add(QUESTION)
    with desk.app.app_context():
        for _ in range(2):
            for task in periodic.PERIODIC_TASKS:
                task(utcnow())
                db.session.rollback()
        assert redis_server.client.ttl("skymailing:lease:mailbox-pause") > 100
        assert redis_server.client.exists(f"skymailing:hint:{hints.MAILBOX}")
    work()
    assert mailbox.sessions == 1
    assert count_letters(desk.session) == 1


def test_doctor_and_the_command_report_a_mailbox_that_cannot_be_used(
    app: Flask, session: Session, mailbox: MailboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> tuple[bool, str]:
        with app.app_context():
            (found,) = run_checks(["mailbox"])
        return found.is_ok, found.finding

    assert check()[0]
    result = app.test_cli_runner().invoke(args=["bounces", "read"])
    assert (result.exit_code, result.output) == (0, "0 understood, 0 unclear, 0 skipped\n")

    set_mailbox(app, monkeypatch, mailbox.url.replace("word@", "wrong-word@"))
    is_ok, finding = check()
    assert not is_ok
    assert "wrong" in finding
    assert "wrong-word" not in finding
    result = app.test_cli_runner().invoke(args=["bounces", "read"])
    assert result.exit_code == 1
    assert "wrong-word" not in result.output
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in check()[1]
    assert read(app).fault


def test_folders_below_the_inbox_and_servers_without_move(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = MailboxServer("imaps", tmp_path)
    server.prefix, server.capabilities = "INBOX.", "IMAP4rev1 UIDPLUS"
    server.add(QUESTION, ENGLISH_VACATION)
    monkeypatch.setenv("SSL_CERT_FILE", server.certificates)
    set_mailbox(desk.app, monkeypatch, server.url)
    with server.run():
        assert read(desk.app).unclear == 1
        assert server.count() == {"INBOX": 0, "INBOX.Not understood": 1, "INBOX.Processed": 1}
        server.capabilities = "IMAP4rev1"
        assert "neither MOVE nor UIDPLUS" in read(desk.app).fault
