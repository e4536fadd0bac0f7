"""Test that only the service's own data is removed after its retention period."""

import os
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing.audit import Actor
from skymailing.clients.deletion import delete_clients
from skymailing.clients.services import ClientValues, update_client
from skymailing.clock import utcnow
from skymailing.errors import ConfigurationError
from skymailing.extensions import db
from skymailing.mail_catcher.store import LetterStore
from skymailing.models import (
    AuditAction,
    AuditEntry,
    AuditKind,
    Bounce,
    BounceKind,
    Client,
    ClientImport,
    Consent,
    ConsentKind,
    ImportRejection,
    ImportState,
    LetterState,
    OptOut,
    OutboxLetter,
    ReturnedLetter,
    ReturnedState,
    User,
)
from skymailing.retention import batches, housekeeping, sweep
from skymailing.settings.retention import RetentionSettings
from tests.support.factories import ClientFactory, DeliveryFactory, UserFactory


def make_letter(user: User, state: LetterState, days: int) -> OutboxLetter:
    created_at = utcnow() - timedelta(days=days)
    return OutboxLetter(
        user_id=user.id, to=user.email, template="verify-address", state=state, created_at=created_at
    )


def test_sent_and_failed_account_letters_are_removed_after_a_month(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    remaining = [
        make_letter(user, LetterState.PENDING, 40),
        make_letter(user, LetterState.SENT, 29),
        make_letter(user, LetterState.FAILED, 1),
    ]
    expired = [
        make_letter(user, state, 31 + n) for n, state in enumerate([LetterState.SENT, LetterState.FAILED] * 3)
    ]
    session.add_all([*expired, *remaining])
    session.flush()
    kept = {letter.id for letter in remaining}
    with app.app_context():
        assert sweep.remove_old(utcnow()).removed == {"account_letters": 6}
    session.expire_all()
    assert set(session.scalars(select(OutboxLetter.id))) == kept


def test_finished_imports_are_removed_with_their_rejected_rows(
    app: Flask, session: Session, user: User
) -> None:
    now = utcnow()
    imports = {
        (state, days): ClientImport(
            owner_id=user.id, filename="a.csv", state=state, updated_at=now - timedelta(days=days)
        )
        for state in (ImportState.FINISHED, ImportState.FAILED, ImportState.RUNNING)
        for days in (29, 31)
    }
    session.add_all(imports.values())
    session.flush()
    for import_ in imports.values():
        session.add(ImportRejection(import_id=import_.id, line=2, value="anna@", reason="no address"))
    session.flush()
    kept = {
        import_.id for (state, days), import_ in imports.items() if days == 29 or state is ImportState.RUNNING
    }
    with app.app_context():
        sweep.remove_old(now)
    session.expire_all()
    assert set(session.scalars(select(ClientImport.id))) == kept
    assert set(session.scalars(select(ImportRejection.import_id))) == kept


def test_consents_are_removed_three_years_after_their_client(
    app: Flask, session: Session, user: User, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    others = UserFactory.create()
    clients = {
        name: ClientFactory.create(owner=user, email=f"{name}@x.com")
        for name in ("gone", "renamed", "back", "here", "recent")
    }
    for owner_id, name in [*((user.id, name) for name in clients), (user.id, "gone"), (others.id, "gone")]:
        values = {"kind": ConsentKind.IMPORTED, "at": utcnow() - timedelta(days=4000)}
        session.add(Consent(owner_id=owner_id, email_key=f"{name}@x.com", **values))
    session.flush()

    with app.app_context(), time_machine.travel(utcnow() - timedelta(days=1096)):
        delete_clients(
            user.id, [clients["gone"].id, clients["back"].id], utcnow(), Actor(user.id, user.email)
        )
        update_client(db.session.get_one(Client, clients["renamed"].id), ClientValues("new@x.com"))
        db.session.commit()
    browser.post(f"/clients/{clients['recent'].id}/delete")
    session.expire_all()
    ClientFactory.create(owner=user, email="back@x.com")

    def list_keys() -> list[str]:
        statement = select(Consent.email_key).where(Consent.owner_id == user.id)
        return sorted(key.partition("@")[0] for key in session.scalars(statement))

    with app.app_context():
        monkeypatch.setitem(app.config, "RETENTION", replace(app.config["RETENTION"], consents=0))
        assert sweep.remove_old(utcnow()).removed == {}
        assert len(list_keys()) == 7
        monkeypatch.setitem(app.config, "RETENTION", RetentionSettings())
        assert sweep.remove_old(utcnow()).removed == {"consents": 3}
        assert list_keys() == ["back", "here", "new", "recent"]
        assert sweep.remove_old(utcnow() + timedelta(days=1096)).removed == {"consents": 1}
    assert list_keys() == ["back", "here", "new"], "they have a client"
    assert session.scalars(select(Consent.owner_id).where(Consent.owner_id == others.id)).all() == [others.id]


def test_reasons_for_unsubscribing_are_removed_after_three_years(
    app: Flask, session: Session, user: User
) -> None:
    for days in (1096, 1094):
        at = utcnow() - timedelta(days=days)
        session.add(OptOut(owner_id=user.id, email_key=f"{days}@x.com", at=at, comment="too many"))
    session.flush()
    with app.app_context():
        assert sweep.remove_old(utcnow()).removed == {"opt_outs": 1}
    assert session.scalars(select(OptOut.email_key)).all() == ["1094@x.com"]


def test_the_audit_log_is_kept_unless_the_operator_sets_a_retention_period(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (3000, 400, 300):
        session.add(
            AuditEntry(
                at=utcnow() - timedelta(days=days),
                actor="root",
                action=AuditAction.USER_BLOCKED,
                kind=AuditKind.USER,
                target_id=user.id,
                target=user.email,
            )
        )
    session.flush()
    with app.app_context():
        sweep.remove_old(utcnow())
        assert len(session.scalars(select(AuditEntry.id)).all()) == 3
        monkeypatch.setitem(app.config, "RETENTION", replace(app.config["RETENTION"], audit=365))
        sweep.remove_old(utcnow())
    assert len(session.scalars(select(AuditEntry.id)).all()) == 1


def test_caught_letters_are_removed_after_a_month(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "MAIL_CATCHER", True)
    directory = app.config["DATA_DIR"] / "outbox"
    store = LetterStore(directory)
    store.prepare()
    for to in ("old@x.example", "new@x.example"):
        store.save("a@b.example", to, b"Subject: x\r\n\r\nx")
    (old,) = store.list_letters("old@")
    suffix = old.path.name[19:]
    old_time = int((utcnow() - timedelta(days=31)).timestamp() * 1e9)
    os.rename(old.path, directory / f"{old_time:019}{suffix}")
    with app.app_context():
        assert sweep.remove_old(utcnow()).removed["caught_letters"] == 1
    assert [letter.recipient for letter in store.list_letters()] == ["new@x.example"]
    store.delete_all()


@pytest.mark.parametrize("text", ["-1", "1.5", "soon", "999999"])
def test_an_invalid_number_of_days_prevents_the_start(environment: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigurationError, match="KEEP_RUN_DETAILS_DAYS"):
        TestingConfig(environment | {"KEEP_RUN_DETAILS_DAYS": text})


def test_returned_letters_are_removed_after_three_months_but_their_reports_are_kept(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    delivery = DeliveryFactory.create(run__mailing__owner=user)
    for number, days in enumerate((91, 91, 91, 91, 89)):
        at = utcnow() - timedelta(days=days)
        state = ReturnedState.UNCLEAR
        letter = ReturnedLetter(digest=f"{number:064}", source="pipe", received_at=at, raw=b"x", state=state)
        session.add(letter)
        session.flush()
        # Without a delivery, nothing else removes the report.
        delivery_id = delivery.id if number == 0 else None
        values = {"owner_id": user.id, "email_key": f"{number}@example.org", "kind": BounceKind.SOFT}
        session.add(Bounce(letter_id=letter.id, delivery_id=delivery_id, received_at=at, **values))
    session.commit()

    with app.app_context():
        sweep.remove_old(utcnow())

    session.expire_all()
    assert [letter.digest[-1] for letter in session.scalars(select(ReturnedLetter))] == ["4"]
    kept = session.scalars(select(Bounce).order_by(Bounce.id)).all()
    assert [(bounce.email_key[0], bounce.letter_id is None) for bounce in kept] == [("0", True), ("4", False)]


def test_the_kinds_of_data_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(batches, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    spent = dict.fromkeys(("endless", "nothing", "short", "letters"), 0.0)

    def work(name: str, needed: float) -> sweep.Part:
        def remove(budget: batches.TimeBudget) -> None:
            while spent[name] < needed and not budget.is_used_up:
                clock[0] += 0.01
                spent[name] += 0.01

        return remove

    parts = [work("endless", 60), work("nothing", 0), work("short", 0.1), work("letters", 60)]
    assert sweep.remove_parts(parts, batches.TimeBudget(1.0))

    assert spent["short"] == pytest.approx(0.1, abs=0.02)
    assert 0.4 < spent["letters"] < 0.7
    assert 0.25 < spent["endless"] < 0.5
    assert clock[0] == pytest.approx(1, abs=0.05)


def test_a_job_continues_until_other_work_is_waiting(app: Flask, session: Session, user: User) -> None:
    session.add_all(make_letter(user, LetterState.SENT, 60) for _ in range(3))
    session.flush()
    checks: list[float] = []

    def stop(elapsed: float) -> bool:
        checks.append(elapsed)
        return True

    with app.app_context():
        stopped = sweep.remove_old(utcnow(), 60, stop)
        assert (stopped.removed, stopped.has_more) == ({}, True)
        done = sweep.remove_old(utcnow(), 60, lambda _elapsed: False)
        assert (done.removed, done.has_more) == ({"account_letters": 3}, False)
    assert checks
