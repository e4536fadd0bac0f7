"""Invalidate cached pages after every commit that changes their data.

Writes are detected at the database connection, which every view, job and command uses, so no code path
can bypass it. The version changes after the commit: a process that reads the new version also reads
the new rows.
"""

import re
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, event, func, select
from sqlalchemy.orm import Session

from skymailing.caching.backend import (
    ARCHIVES,
    ARTICLES,
    CLIENTS,
    FORMS,
    MAILINGS,
    SUPPRESSIONS,
    SharedCache,
)
from skymailing.db.engine import reading_engine
from skymailing.extensions import cache, db
from skymailing.models import Article


def assigns(column: str) -> re.Pattern[str]:
    return re.compile(rf"\bSET\b.*\b{column}\s*=", re.IGNORECASE | re.DOTALL)


SUBJECTS_OF = {
    "archives": {ARCHIVES},
    "archive_entries": {ARCHIVES},
    "articles": {ARTICLES},
    "brands": {ARCHIVES, FORMS},
    "clients": {CLIENTS},
    "forms": {FORMS},
    "mailings": {MAILINGS},
    "suppressions": {SUPPRESSIONS},
}
# Other subjects that an UPDATE changes, by table and column. Pages show users' names. They do not count a
# blocked user's mailings as active, and hide the letters of blocked users and disabled mailings. The forms of
# users who are deleting their account are closed.
ALSO_CHANGED: dict[str, list[tuple[re.Pattern[str], set[str]]]] = {
    "users": [
        (assigns("name"), {ARTICLES, ARCHIVES, FORMS}),
        (assigns("blocked_at"), {MAILINGS, ARCHIVES, FORMS}),
        (assigns("deletion_at"), {ARCHIVES, FORMS}),
    ],
    "mailings": [(assigns("disabled_at"), {ARCHIVES})],
}
# Deleting a user deletes everything they own; deleting a mailing deletes its published letters.
ALSO_DELETED = {"users": set().union(*SUBJECTS_OF.values()), "mailings": {ARCHIVES}}
TABLES = "|".join({*SUBJECTS_OF, *ALSO_CHANGED, *ALSO_DELETED})
WRITES = re.compile(rf'\s*(INSERT INTO|UPDATE|DELETE FROM) "?({TABLES})\b', re.IGNORECASE)
KEEPS_CACHE = "keeps_cache"  # execution option of a write that invalidates nothing
LAST_SEEN_KEY = "articles-seen"


def configure(app: Flask) -> None:
    """Watch the app's database; call after `db.init_app` and `cache.init_app`."""
    with app.app_context():
        watch(db.engine, shared_cache())


def shared_cache() -> SharedCache:
    """Return the current app's cache backend."""
    backend = cache.cache
    assert isinstance(backend, SharedCache)
    return backend


def subjects_of(statement: str) -> set[str]:
    """Return the subjects that a SQL statement changes."""
    found = WRITES.match(statement)
    if found is None:
        return set()
    verb, table = found[1].upper(), found[2].lower()
    subjects = SUBJECTS_OF.get(table, set())
    if verb == "DELETE FROM":
        return subjects | ALSO_DELETED.get(table, set())
    if verb == "UPDATE":
        for pattern, also in ALSO_CHANGED.get(table, ()):
            if pattern.search(statement):
                subjects |= also
    return subjects


def watch(engine: Engine, backend: SharedCache) -> None:
    """Invalidate the subjects that each transaction of this engine changed, when it ends."""

    @event.listens_for(engine, "after_cursor_execute")
    def collect(
        connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        subjects = subjects_of(statement)
        if subjects and not (context and context.execution_options.get(KEEPS_CACHE)):
            connection.info.setdefault("changed", set()).update(subjects)

    @event.listens_for(engine, "checkin")
    def invalidate(_connection: Any, record: Any) -> None:
        # A connection returns to the pool after its transaction. After a rollback, invalidating is harmless.
        backend.invalidate(record.info.pop("changed", ()))


def invalidate_missed_edits() -> None:
    """Invalidate articles if they have changed since the last call: Redis may have been down at a commit."""
    with Session(reading_engine()) as session:
        count, latest = session.execute(select(func.count(), func.max(Article.updated_at))).one()
    seen = [count, latest.isoformat() if latest else None]
    if cache.get(LAST_SEEN_KEY) != seen:
        shared_cache().invalidate([ARTICLES])
        cache.set(LAST_SEEN_KEY, seen, timeout=24 * 60 * 60)
