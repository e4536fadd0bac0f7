"""Every commit that changes what public pages show makes all processes forget what they kept of it.

Watched where all writing passes, at the connection, so that no page, job, command or panel has to
think of it. Announced after the commit: whoever reads the new word also reads the new rows.
"""

import re
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, event, func, select
from sqlalchemy.orm import Session

from skymailing.caching.backend import ARTICLES, CLIENTS, MAILINGS, SharedCache
from skymailing.db.engine import reading_engine
from skymailing.extensions import cache, db
from skymailing.models import Article

WRITES = re.compile(
    r'\s*(INSERT INTO|UPDATE|DELETE FROM) "?(articles|clients|mailings|users)\b', re.IGNORECASE
)
NAMES_SOMEBODY = re.compile(r"\bSET\b.*\bname\s*=", re.IGNORECASE | re.DOTALL)
SHUTS_OUT = re.compile(r"\bSET\b.*\bblocked_at\s*=", re.IGNORECASE | re.DOTALL)
SUBJECT_OF = {"articles": ARTICLES, "clients": CLIENTS, "mailings": MAILINGS}
QUIET = "shows_nowhere"  # execution option of a write that leaves cached things as they are
SEEN = "articles-seen"


def configure(app: Flask) -> None:
    """Watch the app's database; call once after `db.init_app` and `cache.init_app`."""
    with app.app_context():
        watch(db.engine, shared_cache())


def shared_cache() -> SharedCache:
    """Return Flask-Caching's backend of the current app."""
    backend = cache.cache
    assert isinstance(backend, SharedCache)
    return backend


def subjects_of(statement: str) -> set[str]:
    """Return which subjects a SQL statement changes."""
    found = WRITES.match(statement)
    if found is None:
        return set()
    verb, table = found[1].upper(), found[2].lower()
    if table in SUBJECT_OF:
        return {SUBJECT_OF[table]}
    # Of a user, pages show the name, and no mailing is active whose owner is blocked; with a user all
    # they own goes.
    if verb == "DELETE FROM":
        return set(SUBJECT_OF.values())
    shown = {ARTICLES: NAMES_SOMEBODY, MAILINGS: SHUTS_OUT} if verb == "UPDATE" else {}
    return {subject for subject, what in shown.items() if what.search(statement)}


def watch(engine: Engine, backend: SharedCache) -> None:
    """Let every transaction of this engine announce what it changed."""

    @event.listens_for(engine, "after_cursor_execute")
    def note(
        connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        subjects = subjects_of(statement)
        if subjects and not (context and context.execution_options.get(QUIET)):
            connection.info.setdefault("changed", set()).update(subjects)

    @event.listens_for(engine, "checkin")
    def announce(_connection: Any, record: Any) -> None:
        # A transaction is over when its connection goes back; after a rollback this is needless, not wrong.
        backend.forget(record.info.pop("changed", ()))


def catch_up() -> None:
    """Forget articles when they are not those of the last call: what was announced while Redis was away."""
    with Session(reading_engine()) as session:
        count, latest = session.execute(select(func.count(), func.max(Article.updated_at))).one()
    seen = [count, latest.isoformat() if latest else None]
    if cache.get(SEEN) != seen:
        shared_cache().forget([ARTICLES])
        cache.set(SEEN, seen, timeout=24 * 60 * 60)
