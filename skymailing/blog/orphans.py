"""Pictures that no article shows any more: dropped by the sweep, an hour after their upload at the soonest.

Not dropped by the request that replaces a picture or deletes an article: were its transaction rolled
back, the article would be left without one. What a request stored and then did not commit goes the same way.
"""

import logging
import os
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.blog.images import media_directory
from skymailing.db.engine import reading_engine
from skymailing.models import Article
from skymailing.web.images import TEMPORARY_PREFIX, lock_directory, parse_name

logger = logging.getLogger(__name__)

GRACE = timedelta(hours=1)  # in which a request that stored a picture has committed or failed
PAUSE = timedelta(hours=1)  # between two looks
MARK = ".swept"  # an empty file whose date is that of the last look


def drop_orphans(now: datetime) -> int:
    """Delete the files of pictures that no article shows; return how many. Looks once in PAUSE."""
    directory = media_directory()
    mark = directory / MARK
    try:
        if not directory.is_dir() or _is_younger(mark, now - PAUSE):
            return 0
        mark.touch()
        os.utime(mark, (now.timestamp(), now.timestamp()))
        return _drop(directory, now)
    except OSError as error:  # the rest of the sweep matters more
        logger.warning("Pictures that no article shows could not be dropped: %s", error)
        return 0


def _drop(directory: Path, now: datetime) -> int:
    # Whoever stores the same picture again meanwhile waits, and then writes it anew.
    with lock_directory(directory):
        old = [path for path in directory.iterdir() if not _is_younger(path, now - GRACE)]
        with Session(reading_engine()) as session:
            shown = {_key(name) for name in session.scalars(select(Article.image).where(Article.image != ""))}
        dropped = [path for path in old if _is_ours(path) and _key(path.name) not in shown]
        for path in dropped:
            path.unlink()
    return len(dropped)


def _is_younger(path: Path, moment: datetime) -> bool:
    return path.exists() and path.stat().st_mtime > moment.timestamp()


def _is_ours(path: Path) -> bool:
    # The second is what a process left behind that died while it wrote.
    return parse_name(path.name) is not None or path.name.startswith(TEMPORARY_PREFIX)


def _key(name: str) -> str:
    """Return what all sizes of a picture share."""
    picture = parse_name(name)
    return picture.key if picture else ""
