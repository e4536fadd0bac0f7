"""Read an account's data for the export, in chunks ordered by key, each in its own short transaction."""

from collections.abc import Iterator, Sequence
from typing import Any

from flask_babel import force_locale
from sqlalchemy import or_, select

from skymailing.auth.export import variants
from skymailing.auth.export.rows import cells, read_in_chunks, read_own, to_dict
from skymailing.clients.explanations import explain_failure
from skymailing.extensions import db
from skymailing.mailings.click_devices import count_devices
from skymailing.mailings.queries import count_runs
from skymailing.models import (
    Archive,
    ArchiveEntry,
    Article,
    ArticleDraft,
    AuditEntry,
    AuditKind,
    Brand,
    BulkJob,
    Client,
    ClientImport,
    Consent,
    ConsentText,
    Delivery,
    DeliveryState,
    Mailing,
    MailingAudience,
    OutboxLetter,
    Reputation,
    Run,
    Segment,
    Sender,
    SendingDomain,
    SmtpServer,
    Suppression,
    Tag,
    User,
    mailing_clients,
)
from skymailing.tracking.storing import DEVICE_COLUMNS

BRAND_FIELDS = (
    *("name", "website", "color", "font", "text_color", "link_color", "button_color"),
    *("background_color", "address", "links"),
)


def read_profile(user: User) -> dict[str, Any]:
    """Return the profile and the settings of the account."""
    reputation = db.session.get(Reputation, user.id)
    brand = db.session.get(Brand, user.id)
    archive = db.session.get(Archive, user.id)
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "language": user.locale,
        "time_zone": user.timezone,
        "date_order": user.date_order,
        "attribute_types": user.attribute_types,
        "client_columns": user.client_columns,
        "client_views": user.client_views,
        "brand": {name: getattr(brand, name) for name in BRAND_FIELDS} if brand else None,
        "summary_hour": user.summary_hour,
        "registered": user.created_at,
        "confirmed": user.confirmed_at,
        "trusted": user.trusted_at,
        "last_sign_in": user.last_login_at,
        "blocked": user.blocked_at,
        "blocked_reason": user.blocked_reason,
        "deletion": user.deletion_at,
        "archive_address": archive.slug if archive else "",
        "mailings_paused": reputation.paused_at if reputation else None,
        "mailings_paused_reason": reputation.pause_reason if reputation else "",
    }


def read_segments(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's segments with their conditions."""
    return read_own(Segment, user_id, "name", "conditions")


def read_senders(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the addresses from which the user sends."""
    names = ("name", "address", "reply_to", "is_default", "confirmed_at", "server_id")
    return read_own(Sender, user_id, *names)


def read_domains(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the domains from which the user sends, without their signing keys."""
    return read_own(SendingDomain, user_id, "name", "verified_at", "is_signed", "checked_at", "probe_sent_at")


def read_servers(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's mail servers, without their passwords."""
    access = ("name", "host", "port", "security", "username", "rate_per_minute", "sessions")
    return read_own(SmtpServer, user_id, *access, "tested_at", "has_passed", "test_answer")


def read_archive(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the letters that the user has published."""
    names = ("mailing_id", "run_id", "slug", "title", "summary", "is_indexed", "sent_at", "html")
    return read_own(ArchiveEntry, user_id, *names)


def read_mailings(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's mailings with the segments and tags of their audiences."""
    table = Mailing.__table__.c
    columns = [column for column in table if column.name != "owner_id"]
    parts = _read_audience_parts(user_id)
    for row in read_in_chunks(select(*columns).where(table.owner_id == user_id), table.id):
        tested = variants.list_of_mailing(row.id) if row.sample_percent else []
        yield to_dict(row) | {"audience_parts": parts.get(row.id, []), "variants": tested}


def _read_audience_parts(user_id: int) -> dict[int, list[dict[str, Any]]]:
    """Return what each mailing includes and excludes, in order, by the ID of the mailing."""
    uses = db.session.execute(
        select(MailingAudience, Tag.name, Segment.name)
        .join(Mailing, Mailing.id == MailingAudience.mailing_id)
        .outerjoin(Tag, Tag.id == MailingAudience.tag_id)
        .outerjoin(Segment, Segment.id == MailingAudience.segment_id)
        .where(Mailing.owner_id == user_id)
        .order_by(MailingAudience.mailing_id, MailingAudience.position)
    ).tuples()
    parts: dict[int, list[dict[str, Any]]] = {}
    for use, tag, segment in uses:
        part = {"tag": tag} if use.tag_id else {"segment": segment, "segment_id": use.segment_id}
        parts.setdefault(use.mailing_id, []).append({"is_excluded": use.is_excluded} | part)
    db.session.rollback()
    return parts


def read_selected_clients(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the clients that were selected for each mailing."""
    yield ("mailing_id", "email")
    mailing_ids = read_in_chunks(
        select(Mailing.id).where(Mailing.owner_id == user_id), Mailing.__table__.c.id
    )
    for (mailing_id,) in mailing_ids:
        selected = (
            select(Client.id, Client.email)
            .join(mailing_clients, mailing_clients.c.client_id == Client.id)
            .where(mailing_clients.c.mailing_id == mailing_id)
        )
        for _id, email in read_in_chunks(selected, Client.__table__.c.id):
            yield (mailing_id, email)


def read_run_ids(user_id: int) -> Iterator[int]:
    statement = select(Run.id).join(Mailing, Mailing.id == Run.mailing_id).where(Mailing.owner_id == user_id)
    return (run_id for (run_id,) in read_in_chunks(statement, Run.__table__.c.id))


RUN_COLUMNS = (
    *("id", "mailing_id", "state", "scheduled_for", "started_at", "finished_at", "details_removed_at"),
    *("subject", "sender_name", "sender_address", "reply_to", "server_id", "format", "body", "language"),
    *("topic_id", "track_clicks", "track_opens", "clicked", "unsubscribed", "planned"),
    *("test_ends_at", "test_hours", "winner_by", "winner", "decision", "decided_at", "file_bytes"),
)


def read_runs(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield each run with its content and counts."""
    for run_id in read_run_ids(user_id):
        run = db.session.get(Run, run_id)
        if run is None:
            continue
        (ledger,) = count_runs([run])
        values = {name: getattr(run, name) for name in RUN_COLUMNS}
        letters = {state.value: count for state, count in ledger.counts.items()}
        # None if a count could reveal which device a person uses.
        devices = count_devices(run)
        values |= {column: devices.get(device) for device, column in DEVICE_COLUMNS.items()}
        yield values | {"letters": letters, "variants": variants.list_of_run(run)}
        db.session.rollback()


def read_letters(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield each letter with its result."""
    yield ("run_id", "email", "state", "attempts", "due_at", "finished_at", "variant")
    columns = (Delivery.run_id, Delivery.email, Delivery.state, Delivery.attempts, Delivery.due_at)
    for run_id in read_run_ids(user_id):
        for state in DeliveryState:  # one query per state, to use the index on run, state and ID
            statement = select(Delivery.id, *columns, Delivery.finished_at, Delivery.variant)
            statement = statement.where(Delivery.run_id == run_id, Delivery.state == state)
            for row in read_in_chunks(statement, Delivery.__table__.c.id):
                yield cells(row)


def read_tags(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the user's tags, including unused ones; `clients.csv` has the tags of each client."""
    yield ("tag", "created_at")
    statement = select(Tag.id, Tag.name, Tag.created_at).where(Tag.owner_id == user_id)
    yield from map(cells, read_in_chunks(statement, Tag.__table__.c.id))


def read_suppressions(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the suppressed addresses."""
    yield ("email", "reason", "note", "since")
    columns = (Suppression.email_key, Suppression.reason, Suppression.note, Suppression.created_at)
    statement = select(Suppression.id, *columns).where(Suppression.owner_id == user_id)
    yield from map(cells, read_in_chunks(statement, Suppression.__table__.c.id))


def read_consents(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield how people agreed to receive letters, and how they withdrew their consent."""
    yield ("email", "kind", "at", "ip", "text", "purpose", "browser", "form_id", "earlier_email")
    columns = (
        *(Consent.email_key, Consent.kind, Consent.at, Consent.ip, ConsentText.text),
        *(Consent.purpose, Consent.agent, Consent.form_id, Consent.previous_key),
    )
    statement = select(Consent.id, *columns).outerjoin(ConsentText, Consent.text_id == ConsentText.id)
    statement = statement.where(Consent.owner_id == user_id)
    yield from map(cells, read_in_chunks(statement, Consent.__table__.c.id))


def read_imports(user_id: int, locale: str) -> Iterator[Sequence[Any]]:
    """Yield the client imports, with their errors in the language `locale`."""
    counted = ("rows", "created", "updated", "rejected", "suppressed", "left_out")
    yield ("time", "file", "state", *counted, "error")
    numbers = (
        ClientImport.rows_done,
        ClientImport.created,
        ClientImport.updated,
        ClientImport.rejected,
        ClientImport.suppressed,
        ClientImport.left_out,
    )
    statement = select(
        ClientImport.id,
        ClientImport.created_at,
        ClientImport.filename,
        ClientImport.state,
        *numbers,
        ClientImport.error,
    ).where(ClientImport.owner_id == user_id)
    for row in read_in_chunks(statement, ClientImport.__table__.c.id):
        *values, error = cells(row)
        with force_locale(locale):  # a command has no request that sets the language
            text = explain_failure(str(error))
        yield [*values, text]


def read_bulk_jobs(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the bulk actions that a worker performed."""
    yield ("time", "action", "tag", "state", "chosen", "changed", "ended_at", "field", "value", "skipped")
    columns = (BulkJob.created_at, BulkJob.action, BulkJob.tag, BulkJob.state, BulkJob.total, BulkJob.changed)
    added = (BulkJob.ended_at, BulkJob.field, BulkJob.value, BulkJob.skipped)
    statement = select(BulkJob.id, *columns, *added).where(BulkJob.owner_id == user_id)
    yield from map(cells, read_in_chunks(statement, BulkJob.__table__.c.id))


def read_articles(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's articles."""
    table = Article.__table__.c
    columns = [column for column in table if column.name != "author_id"]
    return map(to_dict, read_in_chunks(select(*columns).where(table.author_id == user_id), table.id))


def read_article_drafts(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's unsaved changes to articles."""
    table = ArticleDraft.__table__.c
    columns = (table.id, table.article_id, table.fields, table.saved_at, table.discarded_at)
    return map(to_dict, read_in_chunks(select(*columns).where(table.author_id == user_id), table.id))


def read_account_letters(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the letters that the service has sent to the user."""
    yield ("time", "to", "letter", "state", "sent_at")
    columns = (OutboxLetter.created_at, OutboxLetter.to, OutboxLetter.template, OutboxLetter.state)
    statement = select(OutboxLetter.id, *columns, OutboxLetter.sent_at).where(OutboxLetter.user_id == user_id)
    yield from map(cells, read_in_chunks(statement, OutboxLetter.__table__.c.id))


def read_audit_entries(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the user's actions, and managers' actions on the account without naming the managers."""
    yield ("time", "by", "network_address", "action", "about", "reason", "clients")
    columns = (AuditEntry.at, AuditEntry.actor, AuditEntry.address, AuditEntry.action, AuditEntry.target)
    about = (AuditEntry.kind == AuditKind.USER) & (AuditEntry.target_id == user_id)
    statement = select(AuditEntry.id, *columns, AuditEntry.reason, AuditEntry.count, AuditEntry.actor_id)
    for row in read_in_chunks(
        statement.where(or_(AuditEntry.actor_id == user_id, about)), AuditEntry.__table__.c.id
    ):
        time, actor, address, *rest, actor_id = cells(row)
        is_own = actor_id == user_id
        yield (time, actor if is_own else "SkyMailing", address if is_own else "", *rest)
