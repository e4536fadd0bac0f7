"""Delete an account with all its data, in small transactions that can be interrupted and continued.

No progress is stored: the rows that still exist are the ones left to delete. The first transaction removes
the person's name, address and password, and cannot be undone. The account's row is deleted last.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.orm import Session

from skymailing import counters
from skymailing.auth.anonymise import anonymise_audit_entries, anonymous_label
from skymailing.db.engine import let_others_write, reading_engine
from skymailing.delivery import plan
from skymailing.delivery.routing.servers import forget_routes
from skymailing.extensions import db
from skymailing.models import (
    MAILING_TRANSITIONS,
    OPEN_RUN_STATES,
    ROUTE_PREFIX,
    ApiKey,
    ArchiveEntry,
    AuditAction,
    AuditEntry,
    AuditKind,
    Bounce,
    Brand,
    BulkChunk,
    BulkJob,
    Client,
    ClientImport,
    ClientUpload,
    Consent,
    ConsentText,
    IdempotentRequest,
    ImportRejection,
    LetterContent,
    Mailing,
    MailingState,
    MergedAddress,
    Message,
    OptOut,
    OutboxLetter,
    ReportDay,
    ReturnedLetter,
    Run,
    Segment,
    Sender,
    SendingDomain,
    Signup,
    SignupForm,
    SmtpServer,
    Suppression,
    Tag,
    Topic,
    TopicChoice,
    User,
    client_tags,
    mailing_clients,
)
from skymailing.models.base import Model
from skymailing.retention.batches import BATCH, remove_letters_in

MAILINGS_AT_A_TIME = 100
CHUNKS_AT_A_TIME = 50  # of a thousand clients each
ENDED = (MailingState.FINISHED, MailingState.CANCELLED)
OWNED: tuple[tuple[type[Model], Any], ...] = (
    (ApiKey, ApiKey.owner_id),
    (IdempotentRequest, IdempotentRequest.owner_id),
    (ArchiveEntry, ArchiveEntry.owner_id),
    (Client, Client.owner_id),
    (ClientUpload, ClientUpload.owner_id),
    (Signup, Signup.owner_id),
    (SignupForm, SignupForm.owner_id),  # after the clients, whose deletion removes the rows of `client_forms`
    (Consent, Consent.owner_id),
    (ConsentText, ConsentText.owner_id),
    (Tag, Tag.owner_id),  # after the clients, whose deletion removes the rows of `client_tags`
    (Segment, Segment.owner_id),
    (Sender, Sender.owner_id),
    (SendingDomain, SendingDomain.owner_id),
    (SmtpServer, SmtpServer.owner_id),  # after the senders that use them
    (Suppression, Suppression.owner_id),
    (OptOut, OptOut.owner_id),
    (Bounce, Bounce.owner_id),
    (ReturnedLetter, ReturnedLetter.owner_id),
    (MergedAddress, MergedAddress.owner_id),
    (Message, Message.owner_id),
    (LetterContent, LetterContent.owner_id),  # after the runs, whose deletion removes the letters
    (OutboxLetter, OutboxLetter.user_id),
    (ReportDay, ReportDay.owner_id),
)


def list_due_accounts(now: datetime) -> list[int]:
    """Return the IDs of accounts whose grace period is over, including partly deleted ones."""
    due = select(User.id).where(User.deletion_at.is_not(None), User.deletion_at <= now)
    with Session(reading_engine()) as session:
        return list(session.scalars(due.order_by(User.deletion_at).limit(BATCH)))


def erase_slice(user_id: int, now: datetime, should_hand_back: Callable[[float], bool]) -> bool:
    """Delete data of the account for a limited time; return whether more can be deleted now.

    Nothing can be deleted while workers are sending the account's letters; a later sweep continues.
    """
    started = time.monotonic()
    if not _anonymise_account(user_id, now) or not _stop_sending(user_id, now):
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
        if should_hand_back(time.monotonic() - started):
            return True
        let_others_write(time.monotonic() - batch_started)


def _lock_account(session: Session, user_id: int) -> bool:
    """Lock the account until the transaction ends; return False if it is gone or locked by another worker."""
    statement = select(User.id).where(User.id == user_id, User.erasure_began_at.is_not(None))
    return session.scalar(statement.with_for_update(skip_locked=True)) is not None


def _anonymise_account(user_id: int, now: datetime) -> bool:
    """Anonymise the account's row; return False if its deletion is not due."""
    with Session(db.engine) as session, session.begin():
        user = session.scalar(select(User).where(User.id == user_id).with_for_update())
        if user is None or user.deletion_at is None or user.deletion_at > now:
            return False
        if user.erasure_began_at is None:
            user.erasure_began_at = now
            user.email = f"{anonymous_label(user_id).replace(' ', '-')}@deleted.invalid"
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
    have_ended = [plan.finish_run(run_id, now) for run_id in runs]  # a list, so that every run is finished
    return all(have_ended)


def _delete_batch(connection: Connection, user_id: int, now: datetime) -> int:
    """Delete a batch of the remaining rows, starting with those that refer to others."""
    for delete_rows in DELETIONS:
        if removed := delete_rows(connection, user_id):
            return removed
    for model, owner in OWNED:
        if removed := _delete_rows(connection, model, owner == user_id):
            return removed
    if changed := anonymise_audit_entries(connection, user_id, BATCH):
        return changed
    _delete_user(connection, user_id, now)
    return 0


def _delete_rows(connection: Connection, model: type[Model], condition: object) -> int:
    key = model.__table__.c.id
    batch = select(key).where(condition).limit(BATCH)  # type: ignore[arg-type]  # a SQL condition
    return connection.execute(delete(model).where(key.in_(batch))).rowcount


def _delete_runs(connection: Connection, user_id: int) -> int:
    mailing_ids = select(Mailing.id).where(Mailing.owner_id == user_id)
    run_id = connection.scalar(select(Run.id).where(Run.mailing_id.in_(mailing_ids)).limit(1))
    if run_id is None:
        return 0
    letters, attempts = remove_letters_in(connection, run_id)
    if letters:
        return letters + attempts
    return connection.execute(
        delete(Run).where(Run.id == run_id)
    ).rowcount  # its counts are deleted by cascade


def _delete_mailings(connection: Connection, user_id: int) -> int:
    mailing_id = connection.scalar(select(Mailing.id).where(Mailing.owner_id == user_id).limit(1))
    if mailing_id is None:
        return 0
    selected = mailing_clients.c
    batch = select(selected.client_id).where(selected.mailing_id == mailing_id).limit(BATCH)
    selected_rows = delete(mailing_clients).where(
        selected.mailing_id == mailing_id, selected.client_id.in_(batch)
    )
    if removed := connection.execute(selected_rows).rowcount:
        return removed
    return connection.execute(delete(Mailing).where(Mailing.id == mailing_id)).rowcount


def _delete_tags(connection: Connection, user_id: int) -> int:
    tag_id = connection.scalar(select(Tag.id).where(Tag.owner_id == user_id).limit(1))
    if tag_id is None:
        return 0
    tagged = client_tags.c
    batch = select(tagged.client_id).where(tagged.tag_id == tag_id).limit(BATCH)
    tagged_rows = delete(client_tags).where(tagged.tag_id == tag_id, tagged.client_id.in_(batch))
    if removed := connection.execute(tagged_rows).rowcount:
        return removed
    return connection.execute(delete(Tag).where(Tag.id == tag_id)).rowcount


def _delete_topics(connection: Connection, user_id: int) -> int:
    topic_id = connection.scalar(select(Topic.id).where(Topic.owner_id == user_id).limit(1))
    if topic_id is None:
        return 0
    of_topic = TopicChoice.topic_id == topic_id
    batch = select(TopicChoice.email_key).where(of_topic).limit(BATCH)
    choices = delete(TopicChoice).where(of_topic, TopicChoice.email_key.in_(batch))
    if removed := connection.execute(choices).rowcount:
        return removed
    return connection.execute(delete(Topic).where(Topic.id == topic_id)).rowcount


def _delete_imports(connection: Connection, user_id: int) -> int:
    import_id = connection.scalar(select(ClientImport.id).where(ClientImport.owner_id == user_id).limit(1))
    if import_id is None:
        return 0
    if removed := _delete_rows(connection, ImportRejection, ImportRejection.import_id == import_id):
        return removed
    return connection.execute(delete(ClientImport).where(ClientImport.id == import_id)).rowcount


def _delete_bulk_jobs(connection: Connection, user_id: int) -> int:
    """Delete jobs and the client data that they store; a worker that performs one loses its lease."""
    job_id = connection.scalar(select(BulkJob.id).where(BulkJob.owner_id == user_id).limit(1))
    if job_id is None:
        return 0
    of_job = BulkChunk.job_id == job_id
    batch = select(BulkChunk.number).where(of_job).limit(CHUNKS_AT_A_TIME)
    if removed := connection.execute(delete(BulkChunk).where(of_job, BulkChunk.number.in_(batch))).rowcount:
        return removed
    return connection.execute(delete(BulkJob).where(BulkJob.id == job_id)).rowcount


def _delete_routes(connection: Connection, user_id: int) -> int:
    """Delete what was learned about the user's mail servers, including these servers' replies."""
    servers = select(SmtpServer.id).where(SmtpServer.owner_id == user_id)
    names = [f"{ROUTE_PREFIX}{server_id}" for server_id in connection.scalars(servers)]
    return forget_routes(connection, names)


# Each deletes a batch of the user's rows to which no other rows refer, and returns their number.
DELETIONS = (
    _delete_bulk_jobs,
    _delete_runs,
    _delete_mailings,
    _delete_imports,
    _delete_tags,
    _delete_topics,
    _delete_routes,
)


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
            target=anonymous_label(user_id),
            reason="",
        )
    )
    connection.execute(delete(User).where(User.id == user_id))
