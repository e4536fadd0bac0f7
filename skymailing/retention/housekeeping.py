"""Remove old account letters, imports, bulk jobs, consents, opt-outs, audit entries, and returned letters."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Connection, Table, delete, exists, select, update
from sqlalchemy.orm import Session

from skymailing import audit
from skymailing.db.engine import reading_engine
from skymailing.extensions import db
from skymailing.mail_catcher.store import LetterStore
from skymailing.models import (
    AuditEntry,
    Bounce,
    BulkJob,
    Client,
    ClientImport,
    Consent,
    ImportRejection,
    ImportState,
    LetterState,
    OptOut,
    OutboxLetter,
    Purchase,
    ReturnedLetter,
    WebhookEvent,
)
from skymailing.retention.batches import BATCH, TimeBudget

CAUGHT_INTERVAL = timedelta(hours=1)  # between scans of a directory that may contain a million files
LAST_SCAN = "skymailing_caught_letters_scanned_at"  # in app.extensions


def remove_account_letters(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove account letters that were sent or failed, and were created before `cutoff`."""
    table: Any = OutboxLetter.__table__
    is_done = table.c.state.in_([LetterState.SENT, LetterState.FAILED])
    _remove_oldest(table, (table.c.created_at < cutoff) & is_done, "account_letters", budget)


def remove_audit_entries(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove old audit log entries; called only if the operator has set a retention period."""
    table: Any = AuditEntry.__table__
    _remove_oldest(table, table.c.at < cutoff, "audit_entries", budget, audit.allow_changes)


def _remove_oldest(
    table: Table,
    is_old: ColumnElement[bool],
    kind: str,
    budget: TimeBudget,
    allow_changes: Callable[[Connection], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> None:
    """Remove old rows from the start of a table that grows at its end, batch by batch."""
    while not budget.is_used_up:
        with Session(db.engine) as session, session.begin():
            oldest = select(table.c.id).order_by(table.c.id).limit(BATCH).subquery()
            deletion = delete(table).where(table.c.id.in_(select(oldest.c.id)), is_old)
            connection = session.connection()
            with allow_changes(connection):
                count = connection.execute(deletion).rowcount
        budget.record(kind, count)
        if not count:
            return


def remove_imports(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove finished imports and their rejected rows."""
    is_over = ClientImport.state.in_([ImportState.FINISHED, ImportState.FAILED])
    old = select(ClientImport.id).where(is_over, ClientImport.updated_at < cutoff)
    with Session(reading_engine()) as session:
        ids = session.scalars(old.order_by(ClientImport.id).limit(BATCH)).all()
    for import_id in ids:
        if budget.is_used_up:
            return
        remove_import(import_id, budget)


def remove_import(import_id: int, budget: TimeBudget) -> bool:
    """Remove an import with its rejected rows; False if the budget ran out first."""
    rejected = select(ImportRejection.id).where(ImportRejection.import_id == import_id).limit(BATCH)
    while not budget.is_used_up:
        with Session(db.engine) as session, session.begin():
            connection = session.connection()
            deletion = delete(ImportRejection).where(ImportRejection.id.in_(rejected))
            count = connection.execute(deletion).rowcount
            if not count:
                connection.execute(delete(ClientImport).where(ClientImport.id == import_id))
        budget.record("imports", count or 1)
        if not count:
            return True
    return False


def remove_bulk_jobs(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove the results of bulk actions; the data for undoing them is already removed."""
    table: Any = BulkJob.__table__
    _remove_oldest(table, table.c.ended_at < cutoff, "bulk_jobs", budget)


def remove_orphaned_consents(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove consents of clients who were deleted before `cutoff` and have not been added again."""
    has_client = exists().where(Client.owner_id == Consent.owner_id, Client.email_key == Consent.email_key)
    oldest = select(Consent.id).where(Consent.orphaned_at < cutoff).order_by(Consent.orphaned_at).limit(BATCH)
    while not budget.is_used_up:
        with Session(reading_engine()) as session:
            ids = session.scalars(oldest).all()
        if not ids:
            return
        these = Consent.id.in_(ids) & (Consent.orphaned_at < cutoff)
        with Session(db.engine) as session, session.begin():
            connection = session.connection()
            count = connection.execute(delete(Consent).where(these, ~has_client)).rowcount
            connection.execute(update(Consent).where(these).values(orphaned_at=None))
        budget.record("consents", count)


def remove_opt_outs(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove the reasons why people unsubscribed; their suppressions and topic choices are kept."""
    table: Any = OptOut.__table__
    _remove_oldest(table, table.c.at < cutoff, "opt_outs", budget)


def remove_returned_letters(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove returned letters, and bounces whose delivery no longer exists."""
    table: Any = ReturnedLetter.__table__
    _remove_oldest(table, table.c.received_at < cutoff, "returned_letters", budget)
    is_old = Bounce.delivery_id.is_(None) & (Bounce.received_at < cutoff)
    while not budget.is_used_up:
        with Session(db.engine) as session, session.begin():
            old = select(Bounce.id).where(is_old).limit(BATCH).scalar_subquery()
            count = session.connection().execute(delete(Bounce).where(Bounce.id.in_(old))).rowcount
        budget.record("bounces", count)
        if not count:
            return


def remove_webhook_events(cutoff: datetime, budget: TimeBudget) -> None:
    """Remove events with their calls, including those that no endpoint has accepted."""
    table: Any = WebhookEvent.__table__
    _remove_oldest(table, table.c.at < cutoff, "webhook_events", budget)


def forget_buyers(cutoff: datetime, budget: TimeBudget) -> None:
    """Forget which clients made old purchases; the sales of mailings do not change."""
    is_old = Purchase.client_id.is_not(None) & (Purchase.purchased_at < cutoff)
    while not budget.is_used_up:
        with Session(db.engine) as session, session.begin():
            old = select(Purchase.id).where(is_old).order_by(Purchase.purchased_at).limit(BATCH)
            forget = update(Purchase).where(Purchase.id.in_(old.scalar_subquery())).values(client_id=None)
            count = session.connection().execute(forget).rowcount
        budget.record("buyers", count)
        if not count:
            return


def remove_caught_letters(cutoff: datetime, now: datetime, budget: TimeBudget) -> None:
    """Delete old files of the mail catcher, scanning at most once per CAUGHT_INTERVAL."""
    scanned_at: datetime | None = current_app.extensions.get(LAST_SCAN)
    if scanned_at is not None and abs(now - scanned_at) < CAUGHT_INTERVAL:
        return
    store = LetterStore(current_app.config["DATA_DIR"] / "outbox")
    for letter in store.list_older(cutoff):
        if budget.is_used_up:
            return  # the next sweep continues
        letter.path.unlink(missing_ok=True)
        budget.removed["caught_letters"] = budget.removed.get("caught_letters", 0) + 1
    current_app.extensions[LAST_SCAN] = now
