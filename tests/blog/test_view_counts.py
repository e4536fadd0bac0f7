"""Test that article views are counted exactly once, even after crashes."""

import threading
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.blog import view_counts
from skymailing.caching.folds import START_FOLD
from skymailing.clock import utcnow
from skymailing.models import Article, ViewFold
from tests.conftest import SignIn
from tests.processes.service import wait_until
from tests.support.factories import ArticleFactory, UserFactory
from tests.support.servers import RedisServer

FOLDS = f"{view_counts.COUNTS}:folds"


def view_article(browser: FlaskClient, slug: str = "first") -> str:
    """View an article and return the view count shown on its page."""
    return browser.get(f"/blog/{slug}").text.partition("data-views>")[2].partition("<")[0]


def fold_views(app: Flask) -> None:
    """Fold all views, including those that the process sends to Redis a moment later."""
    view_counts.gathered_views(app).send_all()
    with app.app_context():
        view_counts.fold_views(utcnow())


def get_stored_views(session: Session) -> int:
    session.expire_all()
    return session.scalar(select(Article.views)) or 0


def test_every_view_is_shown_and_counted(app: Flask, session: Session, visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first", views=1200)
    assert [view_article(visitor) for _ in range(3)] == ["1,201", "1,202", "1,203"]
    fold_views(app)
    assert get_stored_views(session) == 1203
    assert [view_article(visitor) for _ in range(2)] == ["1,204", "1,205"]
    fold_views(app)
    fold_views(app)
    assert get_stored_views(session) == 1205


@pytest.mark.one_engine  # the views are in Redis
def test_views_that_follow_each_other_are_sent_together(
    app: Flask, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    article = ArticleFactory.create(slug="first", views=5)

    def count_sent() -> int:
        return int(redis_server.client.hget(view_counts.COUNTS, str(article.id)) or 0)

    view_article(visitor)
    assert count_sent() == 1, "the first view is sent at once"
    redis_server.client.hincrby(view_counts.COUNTS, str(article.id), 10)  # views in other processes
    for number in range(2, 20):
        shown = view_article(visitor)
        # Views in other processes are shown as soon as this one has sent its own.
        assert int(shown) in (5 + number, 15 + number)
    wait_until(lambda: count_sent() == 29, "all views are sent")
    assert view_article(visitor) == "35"


def test_the_sweep_folds_views(app: Flask, session: Session, visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    view_article(visitor)
    with app.app_context():
        jobs.run_sweep(utcnow())
    assert get_stored_views(session) == 1


def test_signed_in_readers_and_304_responses_are_counted(
    session: Session, app: Flask, visitor: FlaskClient, sign_in: SignIn
) -> None:
    ArticleFactory.create(slug="first")
    etag = visitor.get("/blog/first").headers["ETag"]
    assert visitor.get("/blog/first", headers={"If-None-Match": etag}).status_code == 304
    assert view_article(sign_in(UserFactory.create())) == "3"
    fold_views(app)
    assert get_stored_views(session) == 3


def test_drafts_and_missing_articles_are_not_counted(
    session: Session, app: Flask, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first", published_at=None)
    visitor.get("/blog/first")
    visitor.get("/blog/nothing")
    assert not redis_server.client.exists(view_counts.COUNTS)


def test_folding_changes_neither_the_date_nor_the_feed(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    article = ArticleFactory.create(slug="first", updated_at=utcnow() - timedelta(days=1))
    updated_at = article.updated_at
    etag = visitor.get("/blog/feed.atom").headers["ETag"]
    view_article(visitor)
    fold_views(app)
    session.expire_all()
    assert article.updated_at == updated_at
    assert visitor.get("/blog/feed.atom", headers={"If-None-Match": etag}).status_code == 304


def test_a_fold_invalidates_the_etag(app: Flask, session: Session, visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    etag = visitor.get("/blog/first").headers["ETag"]
    assert visitor.get("/blog/first", headers={"If-None-Match": etag}).status_code == 304
    fold_views(app)
    response = visitor.get("/blog/first", headers={"If-None-Match": etag})
    assert response.status_code == 200
    assert "data-views>3<" in response.text


def test_deleting_an_article_before_its_views_are_folded_is_harmless(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    article = ArticleFactory.create(slug="first")
    other = ArticleFactory.create(slug="second")
    view_article(visitor)
    view_article(visitor, "second")
    session.delete(article)
    session.flush()
    fold_views(app)
    session.expire_all()
    assert other.views == 1


def test_a_crash_after_the_rename_loses_no_views(
    app: Flask, session: Session, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first")
    view_article(visitor)
    redis_server.client.eval(START_FOLD, 2, view_counts.COUNTS, FOLDS, "crashed")
    view_article(visitor)
    fold_views(app)
    assert get_stored_views(session) == 2
    assert not redis_server.client.exists(FOLDS)


def test_a_crash_after_the_commit_counts_no_view_twice(
    app: Flask, session: Session, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first")
    view_article(visitor)
    redis = redis_server.client
    redis.eval(START_FOLD, 2, view_counts.COUNTS, FOLDS, "crashed")
    key = f"{view_counts.COUNTS}:crashed"
    dump = redis.dump(key)
    assert dump is not None
    fold_views(app)
    redis.restore(key, 0, dump)  # the state before the last step, which deletes the counts
    redis.sadd(FOLDS, "crashed")
    fold_views(app)
    assert get_stored_views(session) == 1
    assert not redis.exists(key, FOLDS)


def test_concurrent_sweeps_and_readers_count_each_view_once(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    ArticleFactory.create(slug="first")

    def read() -> None:
        browser = app.test_client()
        for _ in range(50):
            browser.get("/blog/first")

    def sweep() -> None:
        for _ in range(10):
            fold_views(app)

    threads = [threading.Thread(target=work) for work in (read, read, sweep, sweep)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fold_views(app)
    assert get_stored_views(session) == 100


def test_emptying_redis_loses_only_views_since_the_last_fold(
    app: Flask, session: Session, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first")
    for _ in range(3):
        view_article(visitor)
    fold_views(app)
    view_article(visitor)
    redis_server.client.flushall()
    view_article(visitor)
    fold_views(app)
    assert get_stored_views(session) == 4
    assert view_article(visitor) == "5"


def test_old_fold_names_are_deleted(app: Flask, session: Session, visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    session.add(ViewFold(name="old", folded_at=utcnow() - timedelta(days=8)))
    session.flush()
    view_article(visitor)
    fold_views(app)
    assert len(session.scalars(select(ViewFold.name)).all()) == 1
