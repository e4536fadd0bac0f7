"""Deleting an account with all that it owns, in small steps that may end at any moment and go on later.

Everything that is left to do is what is still there: no step is remembered. The first one takes the
person's name, address and password away; from then on there is no way back. The account's row goes last.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.orm import Session

from skymailing import counters
from skymailing.auth.anonymise import forget_in_audit, label_of
from skymailing.db.engine import reading_engine
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.models import (
    MAILING_TRANSITIONS,
    AuditAction,
    AuditEntry,
    AuditKind,
    Client,
    ClientImport,
    ImportRejection,
    Mailing,
    MailingState,
    Message,
    OutboxLetter,
    ReportDay,
    Run,
    RunState,
    Suppression,
    User,
    mailing_clients,
)
from skymailing.models.base import Model
from skymailing.retention.batches import BATCH, MAX_PAUSE, remove_letters_in

MAILINGS_AT_A_TIME = 100
OPEN_RUNS = (RunState.PLANNED, RunState.SENDING)
OVER = (MailingState.FINISHED, MailingState.CANCELLED)
OWNED: tuple[tuple[type[Model], Any], ...] = (
    (Client, Client.owner_id),
    (Suppression, Suppression.owner_id),
    (Message, Message.owner_id),
    (OutboxLetter, OutboxLetter.user_id),
    (ReportDay, ReportDay.owner_id),
)


def due_accounts(now: datetime) -> list[int]:
    """Return the accounts whose time has come, those under way included."""
    due = select(User.id).where(User.deletion_at.is_not(None), User.deletion_at <= now)
    with Session(reading_engine()) as session:
        return list(session.scalars(due.order_by(User.deletion_at).limit(BATCH)))


def erase_slice(user_id: int, now: datetime, should_hand_back: Callable[[float], bool]) -> bool:
    """Delete for a while; return whether there is more to delete right now.

    While letters of the account are being handed over there is nothing to do but wait: the sweep
    comes back.
    """
    began = time.monotonic()
    if not _begin(user_id, now) or not _stop_sending(user_id, now):
        return False
    while True:
        step_began = time.monotonic()
        with Session(db.engine) as session, session.begin():
            if not _take(session, user_id):
                return False  # gone, or another worker is at it
            removed = _remove_some(session.connection(), user_id, now)
        if not removed:
            return False
        counters.add({"removed:account_rows": removed})
        if should_hand_back(time.monotonic() - began):
            return True
        time.sleep(min(time.monotonic() - step_began, MAX_PAUSE))  # others get their turn


def _take(session: Session, user_id: int) -> bool:
    """Keep other workers out of this account until the transaction ends; whether that worked."""
    taken = select(User.id).where(User.id == user_id, User.erasure_began_at.is_not(None))
    return session.scalar(taken.with_for_update(skip_locked=True)) is not None


def _begin(user_id: int, now: datetime) -> bool:
    """Take away what the person could be known by, once; whether the account's time has come."""
    with Session(db.engine) as session, session.begin():
        user = session.scalar(select(User).where(User.id == user_id).with_for_update())
        if user is None or user.deletion_at is None or user.deletion_at > now:
            return False
        if user.erasure_began_at is None:
            user.erasure_began_at = now
            user.email = f"{label_of(user_id).replace(' ', '-')}@deleted.invalid"
            user.password_hash, user.name, user.locale, user.blocked_reason = "!", "", "", ""
            user.confirmed_at = user.last_login_at = None
            user.summary_hour = user.next_summary_at = None
            user.session_epoch += 1
    return True


def _stop_sending(user_id: int, now: datetime) -> bool:
    """Cancel all mailings and close every ledger; False while a worker holds letters of them."""
    while True:
        with Session(db.engine) as session, session.begin():
            going_on = select(Mailing).where(Mailing.owner_id == user_id, Mailing.state.not_in(OVER))
            mailings = session.scalars(going_on.limit(MAILINGS_AT_A_TIME).with_for_update()).all()
            for mailing in mailings:
                MAILING_TRANSITIONS.move(mailing, MailingState.CANCELLED)
                mailing.next_run_at = None
        if not mailings:
            break
    own = select(Mailing.id).where(Mailing.owner_id == user_id)
    with Session(reading_engine()) as session:
        runs = session.scalars(select(Run.id).where(Run.mailing_id.in_(own), Run.state.in_(OPEN_RUNS))).all()
    have_ended = [plan.settle_run(run_id, now) for run_id in runs]  # each of them, whatever the first says
    return all(have_ended)


def _remove_some(connection: Connection, user_id: int, now: datetime) -> int:
    """Remove some of what is left, in an order in which nothing is missed by what refers to it."""
    for remove in (_remove_runs, _remove_mailings, _remove_imports):
        if removed := remove(connection, user_id):
            return removed
    for model, owner in OWNED:
        if removed := _delete_some(connection, model, owner == user_id):
            return removed
    if changed := forget_in_audit(connection, user_id, BATCH):
        return changed
    _finish(connection, user_id, now)
    return 0


def _delete_some(connection: Connection, model: type[Model], condition: object) -> int:
    key = model.__table__.c.id
    some = select(key).where(condition).limit(BATCH)  # type: ignore[arg-type]  # a SQL condition
    return connection.execute(delete(model).where(key.in_(some))).rowcount


def _remove_runs(connection: Connection, user_id: int) -> int:
    own = select(Mailing.id).where(Mailing.owner_id == user_id)
    run_id = connection.scalar(select(Run.id).where(Run.mailing_id.in_(own)).limit(1))
    if run_id is None:
        return 0
    letters, attempts = remove_letters_in(connection, run_id)
    if letters:
        return letters + attempts
    return connection.execute(delete(Run).where(Run.id == run_id)).rowcount  # and its numbers


def _remove_mailings(connection: Connection, user_id: int) -> int:
    mailing_id = connection.scalar(select(Mailing.id).where(Mailing.owner_id == user_id).limit(1))
    if mailing_id is None:
        return 0
    chosen = mailing_clients.c
    some = select(chosen.client_id).where(chosen.mailing_id == mailing_id).limit(BATCH)
    gone = delete(mailing_clients).where(chosen.mailing_id == mailing_id, chosen.client_id.in_(some))
    if removed := connection.execute(gone).rowcount:
        return removed
    return connection.execute(delete(Mailing).where(Mailing.id == mailing_id)).rowcount


def _remove_imports(connection: Connection, user_id: int) -> int:
    import_id = connection.scalar(select(ClientImport.id).where(ClientImport.owner_id == user_id).limit(1))
    if import_id is None:
        return 0
    if removed := _delete_some(connection, ImportRejection, ImportRejection.import_id == import_id):
        return removed
    return connection.execute(delete(ClientImport).where(ClientImport.id == import_id)).rowcount


def _finish(connection: Connection, user_id: int, now: datetime) -> None:
    """Delete the account itself, and write down that it is gone."""
    connection.execute(
        insert(AuditEntry).values(
            at=now,
            actor="SkyMailing",
            address="",
            action=AuditAction.ACCOUNT_DELETED,
            kind=AuditKind.USER,
            target_id=user_id,
            target=label_of(user_id),
            reason="",
        )
    )
    connection.execute(delete(User).where(User.id == user_id))
