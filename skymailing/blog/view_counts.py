"""Count views of articles in Redis; the sweep adds the counts to the database (see `caching.folds`)."""

import logging
from datetime import datetime
from functools import partial
from typing import cast

from flask import Flask
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from skymailing.blog.gathered_views import GatheredViews
from skymailing.caching.backend import VIEWS
from skymailing.caching.folds import NAME_RETENTION, finish_fold, fold_key, start_folds
from skymailing.caching.invalidation import KEEPS_CACHE, shared_cache
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Article, ViewFold

logger = logging.getLogger(__name__)

# A placeholder for the number of views in a cached page.
VIEWS_PLACEHOLDER = "\ue000views\ue000"
COUNTS = "skymailing:views"  # a hash of the views since the last fold, by article ID


EXTENSION = "skymailing_views"  # in app.extensions: the views that this process has gathered


def gathered_views(app: Flask) -> GatheredViews:
    """Return the app's gathered views."""
    existing = app.extensions.get(EXTENSION)
    if existing is None:
        existing = app.extensions.setdefault(EXTENSION, GatheredViews(partial(_send_views, app)))
    assert isinstance(existing, GatheredViews)
    return existing


def _send_views(app: Flask, article_id: int, views: int) -> int:
    with app.app_context():
        return count_views(article_id, views)


def count_views(article_id: int, views: int) -> int:
    """Add views to an article's count in Redis; return how many the database does not have yet."""
    pending = shared_cache().run(lambda redis: redis.hincrby(COUNTS, str(article_id), views))
    if pending is not None:
        return pending
    try:
        with Session(db.engine) as session, session.begin():
            _add_views(session, article_id, views)
    except SQLAlchemyError as error:  # the page matters more than its count
        logger.warning("%d views of article %d were lost: %s", views, article_id, error)
    return views


def fold_views(now: datetime) -> None:
    """Add the counts in Redis to the articles, each view exactly once, even after a crash."""
    names = start_folds(COUNTS)
    for name in names:
        _fold(name, now)
    if names:
        # Pages show the database's count at the time of rendering, plus the count in Redis.
        shared_cache().invalidate([VIEWS])


def _fold(name: str, now: datetime) -> None:
    key = fold_key(COUNTS, name)
    counts = shared_cache().run(lambda redis: cast("dict[bytes, bytes]", redis.hgetall(key)))
    if counts is None:
        return
    with Session(db.engine) as session, session.begin():
        statement = insert_into(ViewFold).values(name=name, folded_at=now)
        is_new = session.scalar(statement.on_conflict_do_nothing().returning(ViewFold.name))
        if is_new is not None:
            for article_id, views in sorted((int(id), int(views)) for id, views in counts.items()):
                _add_views(session, article_id, views)
            session.execute(delete(ViewFold).where(ViewFold.folded_at < now - NAME_RETENTION))
    finish_fold(COUNTS, name)


def _add_views(session: Session, article_id: int, views: int) -> None:
    # The text has not changed: keep its modification time and the cached pages.
    session.execute(
        update(Article)
        .where(Article.id == article_id)
        .values(views=Article.views + views, updated_at=Article.updated_at)
        .execution_options(synchronize_session=False, **{KEEPS_CACHE: True})
    )
