"""Delete pictures that no stored text contains any more, and files without a row."""

import os
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.extensions import db
from skymailing.messages import unused
from skymailing.messages.unused import GRACE, PAUSE
from skymailing.models import MessagePicture
from skymailing.web.picture_files import TEMPORARY_PREFIX, letter_directory, parse_name

NAMES_PER_QUERY = 500
MARK = ".swept"  # an empty file; its modification time is the time of the last search for orphans


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
    directory = letter_directory()
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
        (letter_directory() / name).unlink(missing_ok=True)
