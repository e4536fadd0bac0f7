"""Shared functions for drafts of messages and of articles, so that two windows never overwrite each other."""

from typing import Any

from sqlalchemy.exc import IntegrityError

from skymailing.extensions import db


def restore_unless_taken(draft: Any) -> bool:
    """Restore a discarded draft; return False if another draft has taken its place."""
    try:
        with db.session.begin_nested():
            draft.discarded_at = None
            db.session.flush()
    except IntegrityError:
        return False
    return True


def begin_revision(draft: Any, revision: int | None) -> bool:
    """Lock a draft and count a new revision; return False if `revision` is neither current nor None."""
    db.session.refresh(draft, with_for_update=True)
    if draft.discarded_at or (revision is not None and revision != draft.revision):
        return False
    draft.revision += 1
    return True
