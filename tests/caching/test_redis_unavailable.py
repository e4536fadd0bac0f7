"""Test that pages are never stale while Redis is empty, stopped or just restarted."""

import json
import logging
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from skymailing.caching import invalidation
from skymailing.clock import utcnow
from skymailing.models import Article
from tests.caching.conftest import Edit
from tests.support.factories import ArticleFactory
from tests.support.servers import RedisServer

# Cached pages are in Redis.
pytestmark = pytest.mark.one_engine


def test_no_page_is_stale_after_redis_has_been_emptied(
    app: Flask, visitor: FlaskClient, redis_server: RedisServer, edit: Edit
) -> None:
    article = ArticleFactory.create(slug="first", title="Old title")
    visitor.get("/blog/first")
    redis_server.client.flushall()
    edit(app, update(Article).where(Article.id == article.id).values(title="New title"))
    redis_server.client.flushall()
    assert "New title" in visitor.get("/blog/first").text
    assert "New title" in visitor.get("/blog/first").text


def test_without_redis_pages_work_and_the_outage_is_logged_once(
    app_with_own_redis: tuple[Flask, RedisServer], caplog: pytest.LogCaptureFixture, edit: Edit
) -> None:
    app, redis = app_with_own_redis
    visitor = app.test_client()
    article = ArticleFactory.create(slug="first", title="Old title")
    paths = ("/", "/blog/", "/blog/first", "/blog/feed.atom", "/sitemap.xml", "/robots.txt")
    for path in paths:
        visitor.get(path)
    redis.stop()
    caplog.set_level(logging.INFO)
    for _ in range(3):
        for path in paths:
            assert visitor.get(path).status_code == 200
    edit(app, update(Article).where(Article.id == article.id).values(title="New title"))
    for path in ("/", "/blog/", "/blog/first", "/blog/feed.atom"):
        assert "New title" in visitor.get(path).text

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ["skymailing.caching.backend"]
    assert "Redis is unavailable" in warnings[0].message


def test_an_edit_without_redis_is_visible_when_redis_is_back(
    app_with_own_redis: tuple[Flask, RedisServer], edit: Edit
) -> None:
    app, redis = app_with_own_redis
    visitor = app.test_client()
    article = ArticleFactory.create(slug="first", title="Old title")
    for _ in range(2):
        visitor.get("/blog/first")
    redis.client.config_set("appendfsync", "always")
    redis.stop()
    edit(app, update(Article).where(Article.id == article.id).values(title="New title"))
    redis.start()
    assert redis.client.keys("skymailing:cache:page:*"), "the old page is still in Redis"

    with time_machine.travel(utcnow() + timedelta(seconds=3)):
        assert "New title" in visitor.get("/blog/first").text
        assert "New title" in visitor.get("/blog/first").text


@pytest.mark.both_engines
def test_the_sweep_detects_edits_that_did_not_invalidate_pages(
    app: Flask, visitor: FlaskClient, session: Session, redis_server: RedisServer
) -> None:
    article = ArticleFactory.create(slug="first", title="Old title")
    with app.app_context():
        invalidation.invalidate_missed_edits()
    visitor.get("/blog/first")
    version = redis_server.client.get("skymailing:cache:version:articles")
    article.title = "New title"
    session.flush()
    # As if Redis had been unavailable during the edit.
    redis_server.client.set("skymailing:cache:version:articles", version or b"")
    assert "Old title" in visitor.get("/blog/first").text

    with app.app_context():
        invalidation.invalidate_missed_edits()

    assert "New title" in visitor.get("/blog/first").text


def test_values_in_redis_are_json_not_pickle(visitor: FlaskClient, redis_server: RedisServer) -> None:
    ArticleFactory.create(slug="first")
    for path in ("/", "/blog/first", "/blog/feed.atom"):
        visitor.get(path)
    keys = redis_server.client.keys("skymailing:cache:*")
    assert len(keys) > 5
    for key in keys:
        value = redis_server.client.get(key)
        assert isinstance(value, bytes)
        if b":version:" in key:
            assert value.isalnum()
        elif b":page:" in key:
            json.loads(value.partition(b"\n")[0])
        else:
            json.loads(value)
