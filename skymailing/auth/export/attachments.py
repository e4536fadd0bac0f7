"""Export the files that are attached to messages, runs and transactional letters, or linked from letters."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import read_in_chunks
from skymailing.extensions import db
from skymailing.models import FileLink, LetterFile, MessageFile, RunFile, StoredFile

FOLDER = "attachments/"


def read_uses(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield where each file is used, and its name in the archive."""
    yield ("message_id", "run_id", "variant", "content_id", "link", "name", "type", "bytes", "file")
    file = (StoredFile.size, StoredFile.digest)
    attached = select(
        MessageFile.id, MessageFile.message_id, MessageFile.name, MessageFile.content_type, *file
    )
    attached = attached.join(StoredFile, StoredFile.id == MessageFile.file_id)
    for _id, message_id, name, kind, size, digest in read_in_chunks(
        attached.where(MessageFile.owner_id == user_id), MessageFile.__table__.c.id
    ):
        yield (message_id, "", "", "", "", name, kind, size, FOLDER + digest)
    sent = (
        select(RunFile.run_id, RunFile.variant, RunFile.name, RunFile.content_type, *file)
        .join(StoredFile, StoredFile.id == RunFile.file_id)
        .where(StoredFile.owner_id == user_id)
        .order_by(RunFile.run_id, RunFile.variant, RunFile.position)
    )
    rows = db.session.execute(sent).tuples().all()
    db.session.rollback()
    for run_id, variant, name, kind, size, digest in rows:
        yield ("", run_id, variant or "", "", "", name, kind, size, FOLDER + digest)
    for content_id, name, kind, size, digest in list_letter_files(user_id):
        yield ("", "", "", content_id, "", name, kind, size, FOLDER + digest)
    links = select(FileLink.id, FileLink.token, FileLink.name, FileLink.content_type, *file)
    links = links.join(StoredFile, StoredFile.id == FileLink.file_id).where(FileLink.owner_id == user_id)
    for _id, token, name, kind, size, digest in read_in_chunks(links, FileLink.__table__.c.id):
        yield ("", "", "", "", token, name, kind, size, FOLDER + digest)


def list_letter_files(user_id: int) -> Sequence[tuple[int, str, str, int, str]]:
    """Return the files of transactional letters."""
    statement = (
        select(
            LetterFile.content_id,
            LetterFile.name,
            LetterFile.content_type,
            StoredFile.size,
            StoredFile.digest,
        )
        .join(StoredFile, StoredFile.id == LetterFile.file_id)
        .where(StoredFile.owner_id == user_id)
        .order_by(LetterFile.content_id, LetterFile.position)
    )
    rows = db.session.execute(statement).tuples().all()
    db.session.rollback()
    return rows


def list_digests(user_id: int) -> list[str]:
    """Return the digests of the owner's files, which are their names in the archive."""
    digests = list(
        db.session.scalars(
            select(StoredFile.digest).where(StoredFile.owner_id == user_id).order_by(StoredFile.id)
        )
    )
    db.session.rollback()
    return digests


def read_content(user_id: int, digest: str) -> Iterator[bytes]:
    """Yield the content of a file; nothing if it has been deleted since."""
    condition = (StoredFile.owner_id == user_id) & (StoredFile.digest == digest)
    content = db.session.scalar(select(StoredFile.content).where(condition))
    db.session.rollback()
    if content is not None:
        yield content
