"""Test requests that lose the database: each gets a page in the visitor's language, and one log line."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from skymailing.extensions import db

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def end_connection() -> None:
    """End the request's connection, as a PostgreSQL restart does."""
    driver: Any = db.session.connection().connection.dbapi_connection
    with db.engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": driver.info.backend_pid})


def before(function: Callable[..., Any], action: Callable[[], None]) -> Callable[..., Any]:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        action()
        return function(*args, **kwargs)

    return replacement


def test_a_connection_lost_while_a_page_is_built_returns_503_in_the_users_language(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skymailing.messages import queries

    monkeypatch.setattr(queries, "list_messages", before(queries.list_messages, end_connection))
    response = browser.get("/messages/", headers={"Accept": "text/html"})
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "The service is busy" in response.text  # the language of the user's profile
    assert "<html" in response.text
    monkeypatch.undo()
    assert browser.get("/messages/").status_code == 200


def test_a_connection_lost_after_the_last_query_leaves_the_response(
    browser: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from skymailing.messages.views import messages

    def render(*_args: Any, **_kwargs: Any) -> str:
        end_connection()
        return "the page"

    monkeypatch.setattr(messages, "render_template", render)
    with caplog.at_level(logging.WARNING):
        response = browser.get("/messages/")
    assert (response.status_code, response.text) == (200, "the page")
    assert not [record for record in caplog.records if record.exc_info]


def test_an_unreachable_database_returns_503_in_the_language_of_the_browser(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user, and with them the language of their profile, cannot be loaded."""

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise OperationalError("SELECT 1", {}, Exception("refused"), connection_invalidated=True)

    monkeypatch.setattr(Session, "_execute_internal", fail)
    response = browser.get("/messages/", headers={"Accept": "text/html", "Accept-Language": "ru"})
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "Сервис перегружен" in response.text
    assert "<html" in response.text
