"""Deleting an account: mailings stop, ledgers close, everything goes, and nobody else's anything."""

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
    RunInterval,
    User,
)
from tests.auth.belongings import everything, furnish, leaving, rows_of, under_way
from tests.support.factories import UserFactory, create_clients

PROJECT_DIR = Path(__file__).parents[2]


def go_on(_seconds: float) -> bool:
    return False


def erase_all(app: Flask, user_id: int) -> None:
    with app.app_context():
        while erase_slice(user_id, utcnow(), go_on):
            pass


def test_everything_goes_and_nothing_of_anybody_else(app: Flask, session: Session) -> None:
    user, other = leaving(session, name="Ольга"), UserFactory.create()
    furnish(session, user)
    furnish(session, other, "192.0.2.9")
    for one in (user, other):
        under_way(one)
    id, email = user.id, user.email
    before = rows_of(session, other.id)
    assert {"clients", "runs", "attempts", "run_intervals", "mailing_clients", "import_rejections"} <= set(
        before
    )

    erase_all(app, id)

    assert rows_of(session, id) == {}
    assert session.get(User, id) is None
    assert rows_of(session, other.id) == before
    assert [value for value in everything(session) if value in (email, "Ольга", "192.0.2.7")] == []
    assert session.scalar(select(func.count()).select_from(Article)) == 2  # they stay, without a name


def test_the_ledger_closes_before_anything_goes(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = leaving(session)
    run = under_way(user)
    with app.app_context():
        monkeypatch.setattr(deletion, "_take", lambda *_: False)  # after the mailings have stopped
        assert not erase_slice(user.id, utcnow(), go_on)

    session.expire_all()
    assert run.mailing.state is MailingState.CANCELLED
    states = dict(
        session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).tuples().all()
    )
    assert states == {DeliveryState.SENT: 2, DeliveryState.CANCELLED: 4}
    cancelled = session.scalar(select(func.sum(RunInterval.cancelled)).where(RunInterval.run_id == run.id))
    assert cancelled == 4


def test_letters_on_their_way_are_waited_for(app: Flask, session: Session) -> None:
    user = leaving(session)
    run, id = under_way(user), user.id
    held = session.scalars(select(Delivery).where(Delivery.state == DeliveryState.PENDING)).first()
    assert held is not None
    held.state, held.lease_token = DeliveryState.SENDING, "worker"
    held.lease_until = utcnow() + timedelta(minutes=3)
    session.flush()

    erase_all(app, id)
    assert session.get(User, id) is not None
    assert session.scalar(select(func.count()).where(Delivery.run_id == run.id)) == 6

    held.state, held.lease_token, held.lease_until = DeliveryState.SENT, None, None
    held.finished_at = utcnow()
    session.flush()
    erase_all(app, id)
    session.expire_all()
    assert session.get(User, id) is None


def test_the_audit_log_keeps_who_and_when_without_the_person(app: Flask, session: Session) -> None:
    user = leaving(session)
    furnish(session, user)
    id, email = user.id, user.email
    erase_all(app, id)

    session.expire_all()
    lines = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(line.action, line.actor, line.address, line.target) for line in lines] == [
        (AuditAction.CLIENT_DELETED, f"user {id}", "", ""),
        (AuditAction.CLIENTS_EXPORTED, f"user {id}", "", f"user {id}"),
        (AuditAction.USER_BLOCKED, "manager@sky.example", "192.0.2.8", f"user {id}"),
        (AuditAction.ACCOUNT_DELETED, "SkyMailing", "", f"user {id}"),
    ]
    assert email not in str(everything(session))


def test_nobody_gets_the_id_of_somebody_who_left(app: Flask, session: Session) -> None:
    left = leaving(session)
    id = left.id
    erase_all(app, id)
    session.expunge_all()

    assert UserFactory.create().id > id


def test_before_its_time_nothing_happens_and_the_sweep_starts_it(
    app: Flask, session: Session, work: Callable[[], None]
) -> None:
    early = UserFactory.create(deletion_at=utcnow() + timedelta(minutes=5))
    due = leaving(session)
    for user in (early, due):
        furnish(session, user)
    due_id = due.id
    erase_all(app, early.id)
    with app.app_context():
        queue.enqueue("sweep")
    work()

    session.expire_all()
    assert session.get(User, due_id) is None
    assert rows_of(session, early.id)["clients"] == 3


def test_the_first_step_takes_the_persons_name_away_and_frees_the_address(
    app: Flask, session: Session
) -> None:
    user = leaving(session, name="Ольга")
    email = user.email
    create_clients(user, 2)
    with app.app_context():
        assert erase_slice(user.id, utcnow(), lambda _seconds: True)

    session.expire_all()
    assert (user.email, user.name, user.password_hash) == (f"user-{user.id}@deleted.invalid", "", "!")
    UserFactory.create(email=email)


def test_two_workers_at_once_do_not_get_in_each_others_way(app: Flask, session: Session) -> None:
    user, other = leaving(session), UserFactory.create()
    furnish(session, user)
    furnish(session, other)
    create_clients(user, 200)
    id, before = user.id, rows_of(session, other.id)
    with ThreadPoolExecutor(3) as pool:
        for work in [pool.submit(erase_all, app, id) for _ in range(3)]:
            work.result()
    erase_all(app, id)  # should each have found another one at it at the end

    assert rows_of(session, id) == {}
    assert rows_of(session, other.id) == before
    gone = select(func.count()).where(AuditEntry.action == AuditAction.ACCOUNT_DELETED)
    assert session.scalar(gone) == 1


def test_killed_in_the_middle_the_next_sweep_goes_on(
    app: Flask,
    session: Session,
    environment: dict[str, str],
    work: Callable[[], None],
) -> None:
    user = UserFactory.create()
    furnish(session, user)
    now = utcnow()
    session.execute(
        insert(Client),
        [
            {
                "owner_id": user.id,
                "email": f"c{n}@x.example",
                "email_key": f"c{n}@x.example",
                "created_at": now,
            }
            for n in range(20_000)
        ],
    )
    id, email = user.id, user.email
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "users", "delete", email, "--yes"]
    variables = environment | {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, cwd=PROJECT_DIR, env=variables, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        own = select(func.count()).where(Client.owner_id == id)
        while (session.scalar(own) or 0) > 19_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    left = session.scalar(own) or 0
    assert 0 < left <= 19_000

    with app.app_context():
        jobs.sweep()
    work()

    assert rows_of(session, id) == {}
    session.expire_all()
    assert session.get(User, id) is None


def test_the_command_asks_exports_and_deletes(app: Flask, session: Session, tmp_path: Path) -> None:
    admin, user = UserFactory.create(role=Role.ADMIN), UserFactory.create()
    furnish(session, user)
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
