"""Pictures in letters: stored under URLs that cannot be guessed, for as long as they are in use."""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from flask import current_app
from PIL import Image
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.extensions import db
from skymailing.models import (
    ArchiveEntry,
    LetterContent,
    Mailing,
    Message,
    MessageDraft,
    MessagePicture,
    MessageTemplate,
    Run,
    SavedBlock,
)
from skymailing.quotas.checks import require_room_for_pictures
from skymailing.web.images import (
    TEMPORARY_PREFIX,
    Picture,
    decode,
    lock_directory,
    parse_name,
    read_upload,
    write_picture,
)

MAX_SIDE = 1_200  # pixels: twice the width of a letter, for high-resolution screens
SHOWN_WIDTH = 520  # pixels: the width of a letter's text
GRACE = timedelta(days=2)  # after a picture was last in use; an undo may restore its use
PAUSE = timedelta(hours=6)  # between two checks of the same picture
NAMES_PER_QUERY = 500
MARK = ".swept"  # an empty file; its modification time is the time of the last search for orphans
BATCH = 20  # pictures per check; keeps the transaction short


def picture_directory() -> Path:
    """Return the directory of letter pictures."""
    return Path(current_app.config["DATA_DIR"]) / "letter-pictures"


@dataclass(frozen=True, slots=True)
class WrittenPicture:
    """A picture that has a file in the folder, but no row yet."""

    name: str
    size: int  # bytes


def write_file(file: IO[bytes]) -> WrittenPicture:
    """Decode an uploaded picture and write its file; raises UserError. May take seconds.

    If no row is added for it, `delete_orphans` deletes the file later.
    """
    content = read_upload(file)
    with decode(content, MAX_SIDE) as decoded:
        # Some mail programs cannot show WebP; all can show PNG.
        image = decoded.convert("RGB") if is_opaque(decoded) else decoded
        kind = "jpg" if image.mode == "RGB" else "png"
        picture = Picture(secrets.token_hex(16), image.width, image.height, kind)
        with lock_directory(picture_directory()) as directory:
            return WrittenPicture(picture.name, write_picture(image, picture, directory))


def add_picture(owner_id: int, written: WrittenPicture, now: datetime) -> MessagePicture:
    """Add the row of a written picture; raises LimitReached."""
    require_room_for_pictures(owner_id)
    row = MessagePicture(
        owner_id=owner_id,
        name=written.name,
        size=written.size,
        uploaded_at=now,
        seen_at=now,
        looked_at=now,
    )
    db.session.add(row)
    db.session.flush()
    return row


def is_opaque(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)


def delete_unused(now: datetime) -> int:
    """Delete pictures that no message, draft or run shows; return how many."""
    with Session(db.engine) as session, session.begin():
        unchecked = select(MessagePicture).where(MessagePicture.looked_at < now - PAUSE)
        pictures = list(session.scalars(unchecked.order_by(MessagePicture.looked_at).limit(BATCH)))
        deleted = []
        for picture in pictures:
            picture.looked_at = now
            if is_used(session, picture):
                picture.seen_at = now
            elif picture.seen_at < now - GRACE:
                session.delete(picture)
                deleted.append(picture.name)
    # Delete files after the commit: a row without its file would show a broken picture.
    delete_files(deleted)
    return len(deleted)


def is_used(session: Session, picture: MessagePicture) -> bool:
    def contains(owner_id: Any, text: Any) -> bool:
        match = exists().where(owner_id == picture.owner_id, text.contains(picture.name))
        return bool(session.scalar(select(match)))

    def shows(model: type[Message] | type[MessageDraft] | type[LetterContent]) -> bool:
        return contains(model.owner_id, model.body)

    published = exists().where(
        ArchiveEntry.owner_id == picture.owner_id, ArchiveEntry.html.contains(picture.name)
    )
    # Sent letters still load their pictures.
    sent = exists().where(
        Run.mailing_id == Mailing.id, Mailing.owner_id == picture.owner_id, Run.body.contains(picture.name)
    )
    is_stored = (
        shows(Message)
        or shows(MessageDraft)
        or shows(LetterContent)
        # An unfinished design has no body, and a saved block is part of no message.
        or contains(MessageDraft.owner_id, MessageDraft.source)
        or contains(SavedBlock.owner_id, SavedBlock.block)
        or contains(MessageTemplate.owner_id, MessageTemplate.body)
        or contains(MessageTemplate.owner_id, MessageTemplate.source)
    )
    return is_stored or bool(session.scalar(select(sent | published)))


def delete_orphans(now: datetime) -> None:
    """Delete files that have no row: their owner was deleted, or the upload was never committed.

    Does nothing if the last search was less than PAUSE ago.
    """
    directory = picture_directory()
    mark = directory / MARK
    if not directory.is_dir() or (mark.exists() and mark.stat().st_mtime > (now - PAUSE).timestamp()):
        return
    mark.touch()
    os.utime(mark, (now.timestamp(), now.timestamp()))
    before = (now - GRACE).timestamp()
    old = [path.name for path in directory.iterdir() if is_ours(path.name) and path.stat().st_mtime < before]
    for start in range(0, len(old), NAMES_PER_QUERY):
        names = old[start : start + NAMES_PER_QUERY]
        with Session(reading_engine()) as session:
            stored = set(session.scalars(select(MessagePicture.name).where(MessagePicture.name.in_(names))))
        delete_files(set(names) - stored)


def is_ours(name: str) -> bool:
    return parse_name(name) is not None or name.startswith(TEMPORARY_PREFIX)


def delete_files(names: Iterable[str]) -> None:
    for name in names:
        (picture_directory() / name).unlink(missing_ok=True)
