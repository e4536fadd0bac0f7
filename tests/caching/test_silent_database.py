"""Test that cached pages are served while the database does not respond."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from skymailing.caching import refresh
from skymailing.clock import utcnow
from skymailing.extensions import db
from tests.support.factories import ArticleFactory


@contextmanager
def silent_database(app: Flask) -> Iterator[None]:
    """Make every statement that reads articles wait."""
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE articles, mailings IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # on SQLite, readers never wait
@pytest.mark.parametrize("path", ["/", "/blog/", "/blog/first", "/blog/feed.atom"])
def test_expired_pages_are_served_while_the_database_is_silent(
    app: Flask, visitor: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(refresh, "MAX_WAIT", 0.5)
    monkeypatch.setattr(refresh, "RETRY_AFTER", 1.0)
    article = ArticleFactory.create(slug="first", title="Old title")
    for _ in range(100):
        visitor.get(path)  # all variants
    with time_machine.travel(utcnow() + timedelta(minutes=11)):
        with silent_database(app):
            start = time.perf_counter()
            pages = [visitor.get(path) for _ in range(20)]
            seconds = time.perf_counter() - start

        time.sleep(refresh.RETRY_AFTER + 0.1)
        article.title = "New title"
        session.commit()
        assert "New title" in visitor.get(path).text

    assert {page.status_code for page in pages} == {200}
    assert all("Old title" in page.text for page in pages)
    assert seconds < 6, "only the first visitor waits"


def test_an_expired_page_is_served_while_the_database_refuses_connections(
    app: Flask, visitor: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ArticleFactory.create(slug="first", title="Old title")
    assert "Old title" in visitor.get("/blog/first").text

    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("refused"), connection_invalidated=True)

    with time_machine.travel(utcnow() + timedelta(minutes=11)):
        monkeypatch.setattr(Session, "_execute_internal", refuse)
        for _ in range(3):
            response = visitor.get("/blog/first")
            assert (response.status_code, "Old title" in response.text) == (200, True)


def test_a_page_rendered_in_time_is_served_instead_of_the_old_one(
    app: Flask, visitor: FlaskClient, session: Session
) -> None:
    ArticleFactory.create(slug="first", published_at=utcnow() + timedelta(minutes=5), title="Coming soon")
    for _ in range(3):
        assert "Coming soon" not in visitor.get("/blog/").text

    with time_machine.travel(utcnow() + timedelta(minutes=6)):
        assert "Coming soon" in visitor.get("/blog/").text
