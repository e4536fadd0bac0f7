"""Views of articles: every one counted, none twice, whatever crashes."""

import threading
from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.blog import viewing
from skymailing.clock import utcnow
from skymailing.models import Article, ViewFold
from tests.conftest import SignIn
from tests.support.factories import ArticleFactory, UserFactory
from tests.support.servers import RedisServer


def shown(browser: FlaskClient, slug: str = "first") -> str:
    """View an article and return the number of views on its page."""
    return browser.get(f"/blog/{slug}").text.partition("data-views>")[2].partition("<")[0]


def fold(app: Flask) -> None:
    with app.app_context():
        viewing.fold_views(utcnow())


def views_in_database(session: Session) -> int:
    session.expire_all()
    return session.scalar(select(Article.views)) or 0


def test_every_view_is_shown_and_counted(app: Flask, session: Session, visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first", views=1200)
    assert [shown(visitor) for _ in range(3)] == ["1,201", "1,202", "1,203"]
    fold(app)
    assert views_in_database(session) == 1203
    assert [shown(visitor) for _ in range(2)] == ["1,204", "1,205"]
    fold(app)
    fold(app)
    assert views_in_database(session) == 1205


def test_the_sweep_folds(app: Flask, session: Session, visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    shown(visitor)
    with app.app_context():
        jobs.run_sweep(utcnow())
    assert views_in_database(session) == 1


def test_signed_in_readers_and_answers_without_a_body_count(
    session: Session, app: Flask, visitor: FlaskClient, sign_in: SignIn
) -> None:
    ArticleFactory.create(slug="first")
    etag = visitor.get("/blog/first").headers["ETag"]
    assert visitor.get("/blog/first", headers={"If-None-Match": etag}).status_code == 304
    assert shown(sign_in(UserFactory.create())) == "3"
    fold(app)
    assert views_in_database(session) == 3


def test_a_draft_is_not_counted_and_a_missing_article_neither(
    session: Session, app: Flask, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first", published_at=None)
    visitor.get("/blog/first")
    visitor.get("/blog/nothing")
    assert not redis_server.client.exists(viewing.COUNTS)


def test_folding_changes_neither_date_nor_feed(app: Flask, session: Session, visitor: FlaskClient) -> None:
    article = ArticleFactory.create(slug="first", updated_at=utcnow() - timedelta(days=1))
    changed = article.updated_at
    etag = visitor.get("/blog/feed.atom").headers["ETag"]
    shown(visitor)
    fold(app)
    session.expire_all()
    assert article.updated_at == changed
    assert visitor.get("/blog/feed.atom", headers={"If-None-Match": etag}).status_code == 304


def test_a_browser_that_has_the_page_is_shown_the_views_of_the_last_fold(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    ArticleFactory.create(slug="first")
    etag = visitor.get("/blog/first").headers["ETag"]
    assert visitor.get("/blog/first", headers={"If-None-Match": etag}).status_code == 304
    fold(app)
    again = visitor.get("/blog/first", headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert "data-views>3<" in again.text


def test_an_article_deleted_before_the_fold_harms_nothing(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    article = ArticleFactory.create(slug="first")
    other = ArticleFactory.create(slug="second")
    shown(visitor)
    shown(visitor, "second")
    session.delete(article)
    session.flush()
    fold(app)
    session.expire_all()
    assert other.views == 1


def test_a_crash_after_the_counts_were_taken_loses_none(
    app: Flask, session: Session, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first")
    shown(visitor)
    redis_server.client.eval(viewing.TAKE, 2, viewing.COUNTS, viewing.FOLDS, "died")
    shown(visitor)
    fold(app)
    assert views_in_database(session) == 2
    assert not redis_server.client.exists(viewing.FOLDS)


def test_a_crash_after_the_commit_counts_none_twice(
    app: Flask, session: Session, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first")
    shown(visitor)
    redis = redis_server.client
    redis.eval(viewing.TAKE, 2, viewing.COUNTS, viewing.FOLDS, "died")
    key = f"{viewing.COUNTS}:died"
    before_the_end = redis.dump(key)
    fold(app)
    redis.restore(key, 0, before_the_end)  # what Redis holds when only the clearing away is missing
    redis.sadd(viewing.FOLDS, "died")
    fold(app)
    assert views_in_database(session) == 1
    assert not redis.exists(key, viewing.FOLDS)


def test_two_sweeps_and_readers_at_once_count_each_view_once(
    app: Flask, session: Session, visitor: FlaskClient
) -> None:
    ArticleFactory.create(slug="first")

    def read() -> None:
        browser = app.test_client()
        for _ in range(50):
            browser.get("/blog/first")

    def sweep() -> None:
        for _ in range(10):
            fold(app)

    threads = [threading.Thread(target=what) for what in (read, read, sweep, sweep)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fold(app)
    assert views_in_database(session) == 100


def test_an_emptied_redis_loses_only_what_came_after_the_last_fold(
    app: Flask, session: Session, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    ArticleFactory.create(slug="first")
    for _ in range(3):
        shown(visitor)
    fold(app)
    shown(visitor)
    redis_server.client.flushall()
    assert shown(visitor) == "4"
    fold(app)
    assert views_in_database(session) == 4


def test_names_of_folds_are_not_kept_for_ever(app: Flask, session: Session, visitor: FlaskClient) -> None:
    ArticleFactory.create(slug="first")
    session.add(ViewFold(name="old", folded_at=utcnow() - timedelta(days=8)))
    session.flush()
    shown(visitor)
    fold(app)
    assert len(session.scalars(select(ViewFold.name)).all()) == 1
