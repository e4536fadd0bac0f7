"""Pictures in letters: stored under URLs that cannot be guessed, for as long as they are in use."""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from flask import current_app
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.extensions import db
from skymailing.messages import unused
from skymailing.messages.unused import GRACE, PAUSE
from skymailing.models import MessagePicture
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
NAMES_PER_QUERY = 500
MARK = ".swept"  # an empty file; its modification time is the time of the last search for orphans


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
    """Delete pictures that no stored text contains; return how many."""
    with Session(db.engine) as session, session.begin():
        deleted = unused.delete_batch(session, MessagePicture, lambda picture: picture.name, now)
    # Delete files after the commit: a row without its file would show a broken picture.
    delete_files(deleted)
    return len(deleted)


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
