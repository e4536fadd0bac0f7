"""Test that restoring a backup that was made during a run neither loses nor repeats letters."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app, queue
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.dispatch import commit_and_dispatch
from skymailing.extensions import db
from skymailing.mailings import resending, services
from skymailing.models import (
    Attempt,
    Delivery,
    DeliveryState,
    LetterState,
    Mailing,
    MailingState,
    OutboxLetter,
    Outcome,
    RunState,
    User,
)
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import LiveRun, add_clients, live_run, run_workers
from tests.processes.commands import invoke_flask, run_command
from tests.processes.service import wait_until
from tests.support.factories import due_mailing

RECIPIENTS = 500
Settings = dict[str, str]


@pytest.fixture
def sink() -> Iterator[Sink]:
    def reply_slowly(turn: Turn) -> None:
        if turn.stage is Stage.DOT:
            time.sleep(0.02)

    with Sink(reply_slowly) as sink:
        yield sink


@pytest.fixture
def original(environment: Settings, sink: Sink, tmp_path: Path) -> Settings:
    """Return the settings of the original installation."""
    data_dir = tmp_path / "original"
    data_dir.mkdir()
    own_settings = {"MAIL_PORT": str(sink.port), "MAIL_MAX_CONNECTIONS": "3", "DATA_DIR": str(data_dir)}
    return environment | own_settings


@contextmanager
def start_worker(environment: Settings) -> Iterator[tuple[LiveRun, Session]]:
    """Run a worker for an installation; yield its live run and a session for the test."""
    app = create_app(TestingConfig(environment))
    with app.app_context():
        engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    try:
        with (
            closing(Session(engine, expire_on_commit=False)) as session,
            run_workers(environment, 1) as running,
        ):
            yield LiveRun(app, environment, session, running), session
    finally:
        engine.dispose()
        with app.app_context():
            db.engine.dispose()


def press(live: LiveRun, button: Callable[..., object]) -> object:
    """Perform the action of a button on the mailing's page."""
    now = utcnow()
    with live.app.app_context():
        mailing = db.session.execute(select(Mailing)).scalar_one()
        result = button(mailing, now)
        commit_and_dispatch(mailing, now)
        return result


def find_unknown(session: Session) -> Sequence[Delivery]:
    return session.scalars(select(Delivery).where(Delivery.state == DeliveryState.UNKNOWN)).all()


def back_up_during_run(
    app: Flask, original: Settings, replacement: Settings, mailing: Mailing, session: Session, sink: Sink
) -> Path:
    """Make a backup while a run sends its letters, then let the run finish; return the file."""
    file = Path(original["DATA_DIR"]).parent / "backup.tar"
    with live_run(app, original, session, mailing) as live:
        wait_until(lambda: len(sink.letters) > RECIPIENTS // 4, "letters arrive")
        run_command(original, "backup", str(file))
        assert get_only_run(session).state is RunState.SENDING, "the backup was made during the run"
        result = invoke_flask(replacement, "restore", str(file))
        assert "Stop the service first" in result.output
        live.finish()
    assert set(sink.per_address().values()) == {1}
    return file


def check_unknown_letters(session_after: Session, unknown: int) -> None:
    """Check that the run has finished and its unfinished letters are unknown."""
    run = get_only_run(session_after)
    counts = count_states(session_after, run)
    assert counts.pop("unknown") == unknown
    assert counts == {"sent": RECIPIENTS - unknown}
    assert 0 < unknown < RECIPIENTS
    answers = session_after.scalars(select(Attempt.answer).where(Attempt.outcome == Outcome.UNKNOWN)).all()
    assert len(answers) == unknown
    assert all("restored from a backup" in answer for answer in answers)
    assert run.state is RunState.FINISHED


def test_letters_that_may_have_been_sent_after_the_backup_are_left_to_the_owner(
    app: Flask,
    original: Settings,
    replacement: Settings,
    session: Session,
    user: User,
    sink: Sink,
    tmp_path: Path,
) -> None:
    add_clients(session, user, RECIPIENTS)
    later = utcnow() + timedelta(hours=1)
    letter = OutboxLetter(user_id=user.id, to=user.email, template="reset-password", due_at=later)
    session.add(letter)
    session.flush()
    mailing = due_mailing(user)
    file = back_up_during_run(app, original, replacement, mailing, session, sink)

    output = run_command(replacement, "restore", str(file))

    with start_worker(replacement) as (live, session_after):
        unknown = len(find_unknown(session_after))
        assert f"{mailing.id}\t{unknown:,} unknown\t{user.email}" in output
        check_unknown_letters(session_after, unknown)
        assert session_after.get_one(OutboxLetter, letter.id).state is LetterState.FAILED
        assert session_after.get_one(User, user.id).session_epoch == user.session_epoch + 1
        live.sweep()
        time.sleep(1)
        assert len(sink.letters) == RECIPIENTS, "nothing is sent automatically"
        check_ledger(session_after, get_only_run(session_after), sink.letters)
        confirm_some_and_resend_the_rest(replacement, live, session_after, mailing, sink, tmp_path)


def confirm_some_and_resend_the_rest(
    replacement: Settings, live: LiveRun, session_after: Session, mailing: Mailing, sink: Sink, tmp_path: Path
) -> None:
    """Confirm half of the unknown letters as sent, as if from the mail server's log; resend the others."""
    unknown = find_unknown(session_after)
    confirmed = [row.email for row in unknown][: len(unknown) // 2]
    (tmp_path / "log").write_text("\n".join(confirmed))
    run_command(replacement, "mailings", "confirm", str(mailing.id), str(tmp_path / "log"))
    assert press(live, resending.resend_unknowns) == len(unknown) - len(confirmed)
    live.finish()
    assert count_states(session_after, get_only_run(session_after)) == {"sent": RECIPIENTS}
    repeated = {address for address, count in sink.per_address().items() if count == 2}
    assert len(repeated) == len(unknown) - len(confirmed)
    assert not repeated & set(confirmed), "recipients known to have the letter do not get it again"
    check_ledger(session_after, get_only_run(session_after), sink.letters)


def test_a_run_continues_after_a_move(
    app: Flask,
    original: Settings,
    replacement: Settings,
    session: Session,
    user: User,
    sink: Sink,
    tmp_path: Path,
) -> None:
    """The service was stopped before the backup, so no letter is sent twice or lost."""
    add_clients(session, user, RECIPIENTS)
    file = tmp_path / "backup.tar"
    with live_run(app, original, session, due_mailing(user), count=1):
        wait_until(lambda: len(sink.letters) > RECIPIENTS // 4, "letters arrive")
    with app.app_context():
        wait_until(lambda: queue.count_workers() == 0, "the service has stopped")
    run_command(original, "backup", str(file))
    assert len(sink.letters) < RECIPIENTS

    run_command(replacement, "restore", "--nothing-sent-since", str(file))

    with start_worker(replacement) as (live, session_after):
        live.finish()
        assert count_states(session_after, get_only_run(session_after)) == {"sent": RECIPIENTS}
        assert set(sink.per_address().values()) == {1}
        check_ledger(session_after, get_only_run(session_after), sink.letters)


def test_a_scheduled_mailing_does_not_start_automatically(
    original: Settings, replacement: Settings, session: Session, user: User, sink: Sink, tmp_path: Path
) -> None:
    """The mailing may have been sent between the backup and the loss."""
    add_clients(session, user, 3)
    mailing = due_mailing(user)
    file = tmp_path / "backup.tar"
    run_command(original, "backup", str(file))

    output = run_command(replacement, "restore", str(file))

    assert f"{mailing.id}\t0 unknown" in output
    with start_worker(replacement) as (live, session_after):
        live.sweep()
        time.sleep(1)
        restored = session_after.scalars(select(Mailing)).one()
        assert restored.state is MailingState.PAUSED
        assert restored.state_reason.startswith("restored: ")
        assert not sink.letters
        press(live, lambda mailing, now: services.resume_mailing(mailing, now, current_actor()))
        wait_until(lambda: len(sink.letters) == 3, "the mailing starts once its owner resumes it")


def test_a_restore_overwrites_nothing(
    original: Settings, session: Session, user: User, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar"
    run_command(original, "backup", str(file))

    repeated = invoke_flask(original, "backup", str(file))
    restored = invoke_flask(original, "restore", str(file))

    assert repeated.exit_code == 1
    assert "already exists" in repeated.output
    assert restored.exit_code == 1
    assert "not empty" in restored.output
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"something else", b"\0" * 20_000])
def test_a_file_that_is_not_a_backup_is_rejected(
    replacement: Settings, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "no-backup.tar"
    file.write_bytes(content)

    restored = invoke_flask(replacement, "restore", str(file))

    assert restored.exit_code == 1
    assert "not a SkyMailing backup" in restored.output
