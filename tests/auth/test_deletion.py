"""Delete an account: its mailings stop, its runs finish, its data is deleted, and other data is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.auth import deletion
from skymailing.auth.deletion import erase_slice
from skymailing.clock import utcnow
from skymailing.models import (
    Article,
    AuditAction,
    AuditEntry,
    Client,
    Delivery,
    DeliveryState,
    MailingState,
    Role,
    Route,
    RunInterval,
    User,
)
from tests.auth.account_data import (
    count_rows,
    create_account_data,
    create_sending_run,
    create_user_due_for_deletion,
    list_all_values,
)
from tests.support.factories import UserFactory, create_clients

PROJECT_DIR = Path(__file__).parents[2]


def never_yield(_seconds: float) -> bool:
    return False


def erase_all(app: Flask, user_id: int) -> None:
    with app.app_context():
        while erase_slice(user_id, utcnow(), never_yield):
            pass


def test_deletion_removes_all_data_of_the_account_and_no_other_data(app: Flask, session: Session) -> None:
    user, other = create_user_due_for_deletion(name="Ольга"), UserFactory.create()
    create_account_data(session, user)
    create_account_data(session, other, "192.0.2.9")
    for owner in (user, other):
        create_sending_run(owner)
    id, email = user.id, user.email
    before = count_rows(session, other.id)
    tables = {"clients", "runs", "attempts", "run_intervals", "mailing_clients", "import_rejections"}
    assert tables | {"archives", "archive_entries"} <= set(before)

    erase_all(app, id)

    assert count_rows(session, id) == {}
    assert session.get(User, id) is None
    assert count_rows(session, other.id) == before
    # Routes, which store mail servers' replies, have no foreign key.
    assert session.scalar(select(func.count()).select_from(Route)) == 1
    assert [value for value in list_all_values(session) if value in (email, "Ольга", "192.0.2.7")] == []
    assert (
        session.scalar(select(func.count()).select_from(Article)) == 2
    )  # articles are kept, without an author


def test_runs_are_finished_before_rows_are_deleted(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = create_user_due_for_deletion()
    run = create_sending_run(user)
    with app.app_context():
        monkeypatch.setattr(deletion, "_lock_account", lambda *_: False)  # stop after the mailings
        assert not erase_slice(user.id, utcnow(), never_yield)

    session.expire_all()
    assert run.mailing.state is MailingState.CANCELLED
    states = dict(
        session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).tuples().all()
    )
    assert states == {DeliveryState.SENT: 2, DeliveryState.CANCELLED: 4}
    cancelled = session.scalar(select(func.sum(RunInterval.cancelled)).where(RunInterval.run_id == run.id))
    assert cancelled == 4


def test_deletion_waits_for_letters_that_are_being_sent(app: Flask, session: Session) -> None:
    user = create_user_due_for_deletion()
    run, id = create_sending_run(user), user.id
    leased = session.scalars(select(Delivery).where(Delivery.state == DeliveryState.PENDING)).first()
    assert leased is not None
    leased.state, leased.lease_token = DeliveryState.SENDING, "worker"
    leased.lease_until = utcnow() + timedelta(minutes=3)
    session.flush()

    erase_all(app, id)
    assert session.get(User, id) is not None
    assert session.scalar(select(func.count()).where(Delivery.run_id == run.id)) == 6

    leased.state, leased.lease_token, leased.lease_until = DeliveryState.SENT, None, None
    leased.finished_at = utcnow()
    session.flush()
    erase_all(app, id)
    session.expire_all()
    assert session.get(User, id) is None


def test_the_audit_log_keeps_actions_under_an_anonymous_label(app: Flask, session: Session) -> None:
    user = create_user_due_for_deletion()
    create_account_data(session, user)
    id, email = user.id, user.email
    erase_all(app, id)

    session.expire_all()
    entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.action, entry.actor, entry.address, entry.target) for entry in entries] == [
        (AuditAction.CLIENT_DELETED, f"user {id}", "", ""),
        (AuditAction.CLIENTS_EXPORTED, f"user {id}", "", f"user {id}"),
        (AuditAction.USER_BLOCKED, "manager@sky.example", "192.0.2.8", f"user {id}"),
        (AuditAction.ACCOUNT_DELETED, "SkyMailing", "", f"user {id}"),
    ]
    assert email not in str(list_all_values(session))


def test_the_id_of_a_deleted_account_is_not_reused(app: Flask, session: Session) -> None:
    id = create_user_due_for_deletion().id
    erase_all(app, id)
    session.expunge_all()

    assert UserFactory.create().id > id


def test_the_sweep_deletes_only_due_accounts(app: Flask, session: Session, work: Callable[[], None]) -> None:
    early = UserFactory.create(deletion_at=utcnow() + timedelta(minutes=5))
    due = create_user_due_for_deletion()
    for user in (early, due):
        create_account_data(session, user)
    due_id = due.id
    erase_all(app, early.id)
    with app.app_context():
        queue.enqueue("sweep")
    work()

    session.expire_all()
    assert session.get(User, due_id) is None
    assert count_rows(session, early.id)["clients"] == 3


def test_the_first_batch_anonymizes_the_account_and_frees_the_address(app: Flask, session: Session) -> None:
    user = create_user_due_for_deletion(name="Ольга")
    email = user.email
    create_clients(user, 2)
    with app.app_context():
        assert erase_slice(user.id, utcnow(), lambda _seconds: True)

    session.expire_all()
    assert (user.email, user.name, user.password_hash) == (f"user-{user.id}@deleted.invalid", "", "!")
    UserFactory.create(email=email)


def test_two_workers_can_delete_the_same_account(app: Flask, session: Session) -> None:
    user, other = create_user_due_for_deletion(), UserFactory.create()
    create_account_data(session, user)
    create_account_data(session, other)
    create_clients(user, 200)
    id, before = user.id, count_rows(session, other.id)
    with ThreadPoolExecutor(3) as pool:
        for work in [pool.submit(erase_all, app, id) for _ in range(3)]:
            work.result()
    erase_all(app, id)  # in case the last attempt of each thread found the account locked

    assert count_rows(session, id) == {}
    assert count_rows(session, other.id) == before
    deletions = select(func.count()).where(AuditEntry.action == AuditAction.ACCOUNT_DELETED)
    assert session.scalar(deletions) == 1


def create_many_clients(session: Session, owner: User, count: int) -> None:
    now = utcnow()
    session.execute(
        insert(Client),
        [
            {
                "owner_id": owner.id,
                "email": f"c{n}@x.example",
                "email_key": f"c{n}@x.example",
                "created_at": now,
            }
            for n in range(count)
        ],
    )


def test_the_next_sweep_continues_after_a_kill(
    app: Flask,
    session: Session,
    environment: dict[str, str],
    work: Callable[[], None],
) -> None:
    user = UserFactory.create()
    create_account_data(session, user)
    create_many_clients(session, user, 8_000)
    id, email = user.id, user.email
    statement = select(func.count()).where(Client.owner_id == id)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "users", "delete", email, "--yes"]
    variables = environment | {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, cwd=PROJECT_DIR, env=variables, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while (session.scalar(statement) or 0) > 7_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    left = session.scalar(statement) or 0
    assert 0 < left <= 7_000

    with app.app_context():
        jobs.run_sweep(utcnow())
    work()

    assert count_rows(session, id) == {}
    session.expire_all()
    assert session.get(User, id) is None


def test_the_commands_export_an_account_and_delete_it_after_confirmation(
    app: Flask, session: Session, tmp_path: Path
) -> None:
    admin, user = UserFactory.create(role=Role.ADMIN), UserFactory.create()
    create_account_data(session, user)
    id, email = user.id, user.email
    run = app.test_cli_runner().invoke

    wrong = run(args=["users", "delete", email], input="another@example.org\n")
    assert wrong.exit_code != 0
    assert "3 clients" in wrong.output
    assert session.get(User, id) is not None

    archive = tmp_path / "all.zip"
    assert run(args=["users", "export", email, "--output", str(archive)]).exit_code == 0
    assert archive.stat().st_mode & 0o077 == 0
    assert archive.read_bytes().startswith(b"PK")

    last = run(args=["users", "delete", admin.email, "--yes"])
    assert "last administrator" in last.output
    later = run(args=["users", "delete", email, "--yes", "--grace", "3"])
    assert "until then" in later.output
    session.expire_all()
    assert session.get(User, id) is not None

    done = run(args=["users", "delete", email], input=f"{email}\n")
    assert done.exit_code == 0, done.output
    session.expire_all()
    assert session.get(User, id) is None
    assert session.get(User, admin.id) is not None
