"""Delete the rows that belong to an account, in batches, starting with those that refer to others."""

from typing import Any

from sqlalchemy import Connection, delete, select

from skymailing.delivery.routing.servers import forget_routes
from skymailing.models import (
    ROUTE_PREFIX,
    ApiKey,
    ArchiveEntry,
    ArticleDraft,
    Bounce,
    BulkChunk,
    BulkJob,
    Client,
    ClientImport,
    ClientNote,
    ClientUpload,
    Consent,
    ConsentText,
    DistinctGroup,
    Enrolment,
    FileLink,
    IdempotentRequest,
    ImportRejection,
    Layout,
    LetterContent,
    LinkCheck,
    Mailing,
    MergedAddress,
    Message,
    MessageFile,
    MessageTemplate,
    OptOut,
    OutboxLetter,
    Purchase,
    ReportDay,
    ReturnedLetter,
    Reviewer,
    Run,
    SavedBlock,
    Segment,
    Sender,
    SendingDomain,
    Sequence,
    SequenceSignal,
    Signup,
    SignupForm,
    SmtpServer,
    StoredFile,
    Suppression,
    Tag,
    Topic,
    TopicChoice,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
    client_tags,
    mailing_clients,
)
from skymailing.models.base import Model
from skymailing.retention.batches import BATCH, remove_letters_in

CHUNKS_AT_A_TIME = 50  # of a thousand clients each
OWNED: tuple[tuple[type[Model], Any], ...] = (
    (ApiKey, ApiKey.owner_id),
    (IdempotentRequest, IdempotentRequest.owner_id),
    (ArchiveEntry, ArchiveEntry.owner_id),
    (ArticleDraft, ArticleDraft.author_id),
    (ClientNote, ClientNote.owner_id),
    (DistinctGroup, DistinctGroup.owner_id),
    (Client, Client.owner_id),
    (ClientUpload, ClientUpload.owner_id),
    (Signup, Signup.owner_id),
    (SignupForm, SignupForm.owner_id),  # after the clients, whose deletion removes the rows of `client_forms`
    (Consent, Consent.owner_id),
    (ConsentText, ConsentText.owner_id),
    (Tag, Tag.owner_id),  # after the clients, whose deletion removes the rows of `client_tags`
    (Segment, Segment.owner_id),
    (Reviewer, Reviewer.owner_id),
    (Sender, Sender.owner_id),
    (SendingDomain, SendingDomain.owner_id),
    (SmtpServer, SmtpServer.owner_id),  # after the senders that use them
    (Suppression, Suppression.owner_id),
    (OptOut, OptOut.owner_id),
    (Bounce, Bounce.owner_id),
    (ReturnedLetter, ReturnedLetter.owner_id),
    (MergedAddress, MergedAddress.owner_id),
    (LinkCheck, LinkCheck.owner_id),
    (Message, Message.owner_id),
    (SavedBlock, SavedBlock.owner_id),
    (MessageFile, MessageFile.owner_id),
    (FileLink, FileLink.owner_id),
    (LetterContent, LetterContent.owner_id),  # after the runs, whose deletion removes the letters
    (StoredFile, StoredFile.owner_id),  # after the messages, runs, letters and links that use them
    (MessageTemplate, MessageTemplate.owner_id),
    (Layout, Layout.owner_id),  # after the messages and templates that use them
    (OutboxLetter, OutboxLetter.user_id),
    (ReportDay, ReportDay.owner_id),
    (WebhookCall, WebhookCall.owner_id),
    (WebhookEvent, WebhookEvent.owner_id),
    (WebhookEndpoint, WebhookEndpoint.owner_id),
)


def delete_batch(connection: Connection, user_id: int) -> int:
    """Delete a batch of the user's rows from one table; return their number, 0 if none is left."""
    for delete_rows in DELETIONS:
        if removed := delete_rows(connection, user_id):
            return removed
    for model, owner in OWNED:
        if removed := _delete_rows(connection, model, owner == user_id):
            return removed
    return 0


def _delete_rows(connection: Connection, model: type[Model], condition: object) -> int:
    key = model.__table__.c.id
    batch = select(key).where(condition).limit(BATCH)  # type: ignore[arg-type]  # a SQL condition
    return connection.execute(delete(model).where(key.in_(batch))).rowcount


def _delete_purchases(connection: Connection, user_id: int) -> int:
    """Delete purchases, which refer to clients, runs and mailings."""
    return _delete_rows(connection, Purchase, Purchase.owner_id == user_id)


def _delete_sequences(connection: Connection, user_id: int) -> int:
    """Delete sequences with their enrolments and with their steps, which refer to mailings."""
    sequence_id = connection.scalar(select(Sequence.id).where(Sequence.owner_id == user_id).limit(1))
    if sequence_id is None:
        return 0
    for model in (Enrolment, SequenceSignal):
        if removed := _delete_rows(connection, model, model.sequence_id == sequence_id):
            return removed
    return connection.execute(delete(Sequence).where(Sequence.id == sequence_id)).rowcount


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
    has_topic = TopicChoice.topic_id == topic_id
    batch = select(TopicChoice.email_key).where(has_topic).limit(BATCH)
    choices = delete(TopicChoice).where(has_topic, TopicChoice.email_key.in_(batch))
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
    chunks = BulkChunk.job_id == job_id
    batch = select(BulkChunk.number).where(chunks).limit(CHUNKS_AT_A_TIME)
    if removed := connection.execute(delete(BulkChunk).where(chunks, BulkChunk.number.in_(batch))).rowcount:
        return removed
    return connection.execute(delete(BulkJob).where(BulkJob.id == job_id)).rowcount


def _delete_routes(connection: Connection, user_id: int) -> int:
    """Delete the data collected about the user's mail servers, including their replies."""
    servers = select(SmtpServer.id).where(SmtpServer.owner_id == user_id)
    names = [f"{ROUTE_PREFIX}{server_id}" for server_id in connection.scalars(servers)]
    return forget_routes(connection, names)


# Each deletes a batch of the user's rows to which no other rows refer, and returns their number.
DELETIONS = (
    _delete_bulk_jobs,
    _delete_purchases,
    _delete_sequences,
    _delete_runs,
    _delete_mailings,
    _delete_imports,
    _delete_tags,
    _delete_topics,
    _delete_routes,
)
