"""Attach files to messages; delete files that nothing uses any more."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from flask import current_app
from sqlalchemy import delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skymailing.db.engine import insert_into, reading_engine
from skymailing.extensions import db
from skymailing.messages.file_types import FileRefused, check_type, choose_type, clean_name
from skymailing.models import FileLink, LetterFile, Message, MessageDraft, MessageFile, RunFile, StoredFile
from skymailing.quotas.checks import LimitReached, require_room_for_files
from skymailing.settings.quotas import quota_settings

MEGABYTE = 1024 * 1024
# How long an unused file is kept, since it may be about to be attached again.
GRACE = timedelta(hours=1)
PAUSE = timedelta(hours=1)  # between two searches for unused files
BATCH = 20  # files deleted per sweep; each may be several megabytes in size
MARK = ".files-swept"  # an empty file; its modification time is the time of the last search


@dataclass(frozen=True, slots=True)
class NewFile:
    """An uploaded file that may be attached."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class FileChanges:
    """The files to add to a message, and the IDs of those to remove."""

    added: Sequence[NewFile] = ()
    removed: frozenset[int] = frozenset()


def read_upload(given_name: str, source: IO[bytes]) -> NewFile:
    """Return an uploaded file; raises FileRefused, and LimitReached if it is too large."""
    limit = largest_total()
    content = source.read(limit + 1) if limit else source.read()
    return check_file(given_name, content)


def check_file(given_name: str, content: bytes) -> NewFile:
    """Return a file with its name cleaned; raises FileRefused, and LimitReached if it is too large."""
    name = clean_name(given_name)
    if not name:
        raise FileRefused("file_nameless")
    if not content:
        raise FileRefused("file_empty", name=name)
    check_total([len(content)])
    check_type(name, content)
    return NewFile(name, choose_type(name), content)


def check_total(sizes: Sequence[int]) -> None:
    """Raise LimitReached if a message may not have files of these sizes."""
    settings = quota_settings()
    if settings.files_per_message and len(sizes) > settings.files_per_message:
        raise LimitReached("file_too_many", settings.files_per_message)
    if (limit := largest_total()) and sum(sizes) > limit:
        raise LimitReached("file_total_too_large", settings.files_per_message_mb)


def largest_total() -> int:
    """Return the maximum total size of a letter's files in bytes; 0 means no limit."""
    return quota_settings().files_per_message_mb * MEGABYTE


def list_files(message: Message | None) -> list[MessageFile]:
    """Return the files of a message, in the order in which they were attached."""
    if message is None or message.id is None:
        return []
    statement = select(MessageFile).where(MessageFile.message_id == message.id).order_by(MessageFile.id)
    return list(db.session.scalars(statement))


def change_files(message: Message, changes: FileChanges, now: datetime) -> list[MessageFile]:
    """Remove and add files of a message, whose row is locked; return the added ones. Raises LimitReached."""
    kept = []
    for file in list_files(message):
        if file.id in changes.removed:
            db.session.delete(file)
        else:
            kept.append(file.file.size)
    check_total([*kept, *(len(new.content) for new in changes.added)])
    added = [
        MessageFile(
            owner_id=message.owner_id,
            message_id=message.id,
            file_id=store_content(message.owner_id, new.content, now),
            name=new.name,
            content_type=new.content_type,
        )
        for new in changes.added
    ]
    db.session.add_all(added)
    db.session.flush()
    return added


def copy_files(source: Message, copy: Message) -> None:
    """Attach the files of a message to its copy."""
    db.session.add_all(
        MessageFile(
            owner_id=copy.owner_id,
            message_id=copy.id,
            file_id=file.file_id,
            name=file.name,
            content_type=file.content_type,
        )
        for file in list_files(source)
    )


def keep_with_draft(message: Message, draft: MessageDraft) -> None:
    """Move the files of a message that is about to be deleted to the draft from which it can be restored."""
    _move(MessageFile.message_id == message.id, message_id=None, draft_id=draft.id)


def restore_from_draft(draft: MessageDraft, message: Message) -> None:
    """Move the files of a deleted message to the restored one."""
    _move(MessageFile.draft_id == draft.id, message_id=message.id, draft_id=None)


def _move(condition: object, **values: int | None) -> None:
    statement = update(MessageFile).where(condition).values(**values)  # type: ignore[arg-type]  # SQL
    db.session.execute(statement)


def store_content(owner_id: int, content: bytes, now: datetime) -> int:
    """Return the ID of the stored content; raises LimitReached.

    If the same content is already stored, its date is renewed, so that it is not deleted as unused.
    """
    digest = hashlib.sha256(content).hexdigest()
    same = (StoredFile.owner_id == owner_id) & (StoredFile.digest == digest)
    again = update(StoredFile).where(same).values(uploaded_at=now).returning(StoredFile.id)
    if found := db.session.scalar(again):
        return int(found)
    require_room_for_files(owner_id, len(content))
    values = {"owner_id": owner_id, "digest": digest, "size": len(content), "content": content}
    insert = insert_into(StoredFile).values(values | {"uploaded_at": now})
    insert = insert.on_conflict_do_update(index_elements=["owner_id", "digest"], set_={"uploaded_at": now})
    return int(db.session.execute(insert.returning(StoredFile.id)).scalar_one())


def delete_unused(now: datetime) -> int:
    """Delete unused files; return their number. Does nothing if the last search was less than PAUSE ago."""
    mark = Path(current_app.config["DATA_DIR"]) / MARK
    if mark.exists() and mark.stat().st_mtime > (now - PAUSE).timestamp():
        return 0
    uses = (MessageFile.file_id, RunFile.file_id, LetterFile.file_id, FileLink.file_id)
    is_unused = [~exists().where(column == StoredFile.id) for column in uses]
    is_old = StoredFile.uploaded_at < now - GRACE
    with Session(reading_engine()) as session:
        ids = list(session.scalars(select(StoredFile.id).where(is_old, *is_unused).limit(BATCH)))
    if len(ids) < BATCH:
        mark.touch()
        os.utime(mark, (now.timestamp(), now.timestamp()))
    statement = delete(StoredFile).where(StoredFile.id.in_(ids), is_old, *is_unused)
    try:
        with db.engine.connect() as connection, connection.begin():
            return connection.execute(statement).rowcount if ids else 0
    except IntegrityError:  # a file has just been attached to a copy; a later sweep tries again
        return 0
