"""Delete images that no article uses, at least an hour after their upload.

The sweep does this, not the request that replaces an image or deletes an article: if that request
were rolled back, the article would have lost its image. Images that were uploaded but never
committed are deleted as well.
"""

import logging
import os
import re
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.models import Article, ArticleDraft
from skymailing.web.picture_files import TEMPORARY_PREFIX, article_directory, lock_directory, parse_name

logger = logging.getLogger(__name__)

GRACE = timedelta(hours=1)  # by then a request that stored an image has committed or failed
PAUSE = timedelta(hours=1)  # between two checks
NAME_IN_TEXT = re.compile(r"/blog/media/([0-9a-f]{32}-[0-9x]{3,9}\.[a-z]{3,4})")
MARK = ".swept"  # an empty file; its modification time is the time of the last check


def delete_unused_images(now: datetime) -> int:
    """Delete the files of unused images, at most once per PAUSE; return how many."""
    directory = article_directory()
    mark = directory / MARK
    try:
        if not directory.is_dir() or _is_younger(mark, now - PAUSE):
            return 0
        mark.touch()
        os.utime(mark, (now.timestamp(), now.timestamp()))
        return _delete(directory, now)
    except OSError as error:  # the rest of the sweep must continue
        logger.warning("Unused images could not be deleted: %s", error)
        return 0


def _delete(directory: Path, now: datetime) -> int:
    # A request that stores the same image waits for the lock, then writes it again.
    with lock_directory(directory):
        old = [path for path in directory.iterdir() if not _is_younger(path, now - GRACE)]
        with Session(reading_engine()) as session:
            used = _find_used_keys(session)
        deleted = [path for path in old if _is_ours(path) and _read_key(path.name) not in used]
        for path in deleted:
            path.unlink()
    return len(deleted)


def _find_used_keys(session: Session) -> set[str]:
    """Return the keys of the images of articles, and of those in their texts and drafts."""
    names = {*session.scalars(select(Article.image)), *session.scalars(select(Article.cover))}
    for body in session.scalars(select(Article.body).where(Article.body.contains("/blog/media/"))):
        names.update(NAME_IN_TEXT.findall(body))
    for fields in session.scalars(select(ArticleDraft.fields)):
        names.update(NAME_IN_TEXT.findall(str(fields.get("body", ""))))
    return {key for name in names if (key := _read_key(name))}


def _is_younger(path: Path, moment: datetime) -> bool:
    return path.exists() and path.stat().st_mtime > moment.timestamp()


def _is_ours(path: Path) -> bool:
    # A process that dies while writing leaves a temporary file behind.
    return parse_name(path.name) is not None or path.name.startswith(TEMPORARY_PREFIX)


def _read_key(name: str) -> str:
    """Return the part of the name that all sizes of an image share."""
    picture = parse_name(name)
    return picture.key if picture else ""
