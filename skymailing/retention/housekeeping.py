"""What the service itself leaves behind: account letters, imports, lines of the audit log, caught letters."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Connection, Table, delete, select
from sqlalchemy.orm import Session

from skymailing import audit
from skymailing.db.engine import reading_engine
from skymailing.extensions import db
from skymailing.mail_catcher.store import LetterStore
from skymailing.models import (
    AuditEntry,
    ClientImport,
    ImportRejection,
    ImportState,
    LetterState,
    OutboxLetter,
)
from skymailing.retention.batches import BATCH, Allowance

CAUGHT_PAUSE = timedelta(hours=1)  # between two looks at a directory that may hold a million files
CAUGHT_MARK = "skymailing_caught_letters_looked_at"


def remove_account_letters(before: datetime, allowance: Allowance) -> None:
    """Remove account letters that were settled, and written before a moment."""
    table: Any = OutboxLetter.__table__
    settled = table.c.state.in_([LetterState.SENT, LetterState.FAILED])
    _remove_front(table, (table.c.created_at < before) & settled, "account_letters", allowance)


def remove_audit_lines(before: datetime, allowance: Allowance) -> None:
    """Remove lines of the audit log; the one place that does, and only when the operator chose a time."""
    table: Any = AuditEntry.__table__
    _remove_front(table, table.c.at < before, "audit_lines", allowance, audit.allow_changes)


def _remove_front(
    table: Table,
    is_old: ColumnElement[bool],
    kind: str,
    allowance: Allowance,
    permitting: Callable[[Connection], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> None:
    """Remove old rows from the front of a table that grows at its end; looks at one batch a step."""
    while not allowance.is_used_up:
        with Session(db.engine) as session, session.begin():
            front = select(table.c.id).order_by(table.c.id).limit(BATCH).subquery()
            gone = delete(table).where(table.c.id.in_(select(front.c.id)), is_old)
            connection = session.connection()
            with permitting(connection):
                count = connection.execute(gone).rowcount
        allowance.note(kind, count)
        if not count:
            return


def remove_imports(before: datetime, allowance: Allowance) -> None:
    """Remove imports that are over, and the rows that they did not take."""
    is_over = ClientImport.state.in_([ImportState.FINISHED, ImportState.FAILED])
    old = select(ClientImport.id).where(is_over, ClientImport.updated_at < before)
    with Session(reading_engine()) as session:
        ids = session.scalars(old.order_by(ClientImport.id).limit(BATCH)).all()
    for import_id in ids:
        if allowance.is_used_up:
            return
        remove_import(import_id, allowance)


def remove_import(import_id: int, allowance: Allowance) -> bool:
    """Remove an import with its rejected rows; False when time ran out before that."""
    rejected = select(ImportRejection.id).where(ImportRejection.import_id == import_id).limit(BATCH)
    while not allowance.is_used_up:
        with Session(db.engine) as session, session.begin():
            connection = session.connection()
            gone = delete(ImportRejection).where(ImportRejection.id.in_(rejected))
            count = connection.execute(gone).rowcount
            if not count:
                connection.execute(delete(ClientImport).where(ClientImport.id == import_id))
        allowance.note("imports", count or 1)
        if not count:
            return True
    return False


def remove_caught_letters(before: datetime, now: datetime, allowance: Allowance) -> None:
    """Delete old files of the mail catcher, looking once in CAUGHT_PAUSE."""
    looked_at: datetime | None = current_app.extensions.get(CAUGHT_MARK)
    if looked_at is not None and abs(now - looked_at) < CAUGHT_PAUSE:
        return
    store = LetterStore(current_app.config["DATA_DIR"] / "outbox")
    for letter in store.list_older(before):
        if allowance.is_used_up:
            return  # and goes on with the next sweep
        letter.path.unlink(missing_ok=True)
        allowance.removed["caught_letters"] = allowance.removed.get("caught_letters", 0) + 1
    current_app.extensions[CAUGHT_MARK] = now
