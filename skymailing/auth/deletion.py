"""Delete an account with all its data, in small transactions that can be interrupted and continued.

No progress is stored: the remaining rows are those still to be deleted. The first transaction removes the
person's name, address and password, and cannot be undone. The account's row is deleted last.
"""

import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.orm import Session

from skymailing import counters
from skymailing.auth.anonymize import anonymize_audit_entries, make_anonymous_label
from skymailing.auth.deletion_batches import delete_batch
from skymailing.db.engine import let_others_write, reading_engine
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.models import (
    MAILING_TRANSITIONS,
    OPEN_RUN_STATES,
    AuditAction,
    AuditEntry,
    AuditKind,
    Brand,
    Mailing,
    MailingState,
    Run,
    User,
)
from skymailing.retention.batches import BATCH

MAILINGS_AT_A_TIME = 100
ENDED = (MailingState.FINISHED, MailingState.CANCELLED)


def list_due_accounts(now: datetime) -> list[int]:
    """Return the IDs of accounts whose grace period is over, including partly deleted ones."""
    due = select(User.id).where(User.deletion_at.is_not(None), User.deletion_at <= now)
    with Session(reading_engine()) as session:
        return list(session.scalars(due.order_by(User.deletion_at).limit(BATCH)))


def erase_slice(user_id: int, now: datetime, should_yield: Callable[[float], bool]) -> bool:
    """Delete the account's data until `should_yield` returns True; return whether more can be deleted now.

    Nothing can be deleted while workers are sending the account's letters; a later sweep continues.
    """
    started = time.monotonic()
    if not _anonymize_account(user_id, now) or not _stop_sending(user_id, now):
        return False
    while True:
        batch_started = time.monotonic()
        with Session(db.engine) as session, session.begin():
            if not _lock_account(session, user_id):
                return False  # deleted, or another worker is deleting it
            removed = _delete_batch(session.connection(), user_id, now)
        if not removed:
            return False
        counters.add({"removed:account_rows": removed})
        if should_yield(time.monotonic() - started):
            return True
        let_others_write(time.monotonic() - batch_started)


def _lock_account(session: Session, user_id: int) -> bool:
    """Lock the account until the transaction ends; return False if it is gone or locked by another worker."""
    statement = select(User.id).where(User.id == user_id, User.erasure_began_at.is_not(None))
    return session.scalar(statement.with_for_update(skip_locked=True)) is not None


def _anonymize_account(user_id: int, now: datetime) -> bool:
    """Anonymize the account's row; return False if its deletion is not due."""
    with Session(db.engine) as session, session.begin():
        user = session.scalar(select(User).where(User.id == user_id).with_for_update())
        if user is None or user.deletion_at is None or user.deletion_at > now:
            return False
        if user.erasure_began_at is None:
            user.erasure_began_at = now
            user.email = f"{make_anonymous_label(user_id).replace(' ', '-')}@deleted.invalid"
            user.password_hash, user.name, user.locale, user.blocked_reason = "!", "", "", ""
            user.confirmed_at = user.last_login_at = None
            user.summary_hour = user.next_summary_at = None
            user.session_epoch += 1
            session.execute(delete(Brand).where(Brand.owner_id == user_id))
    return True


def _stop_sending(user_id: int, now: datetime) -> bool:
    """Cancel all mailings and finish their runs; return False while workers are still sending letters."""
    while True:
        with Session(db.engine) as session, session.begin():
            active = select(Mailing).where(Mailing.owner_id == user_id, Mailing.state.not_in(ENDED))
            mailings = session.scalars(active.limit(MAILINGS_AT_A_TIME).with_for_update()).all()
            for mailing in mailings:
                MAILING_TRANSITIONS.move(mailing, MailingState.CANCELLED)
                mailing.next_run_at = None
        if not mailings:
            break
    mailing_ids = select(Mailing.id).where(Mailing.owner_id == user_id)
    with Session(reading_engine()) as session:
        runs = session.scalars(
            select(Run.id).where(Run.mailing_id.in_(mailing_ids), Run.state.in_(OPEN_RUN_STATES))
        ).all()
    have_ended = [plan.finish_run(run_id, now) for run_id in runs]  # a list, so that `all` cannot skip a run
    return all(have_ended)


def _delete_batch(connection: Connection, user_id: int, now: datetime) -> int:
    """Delete a batch of the remaining rows; the account's row is the last."""
    if removed := delete_batch(connection, user_id):
        return removed
    if changed := anonymize_audit_entries(connection, user_id, BATCH):
        return changed
    _delete_user(connection, user_id, now)
    return 0


def _delete_user(connection: Connection, user_id: int, now: datetime) -> None:
    """Delete the account's row and record it in the audit log."""
    connection.execute(
        insert(AuditEntry).values(
            at=now,
            actor="SkyMailing",
            address="",
            action=AuditAction.ACCOUNT_DELETED,
            kind=AuditKind.USER,
            target_id=user_id,
            target=make_anonymous_label(user_id),
            reason="",
        )
    )
    connection.execute(delete(User).where(User.id == user_id))
