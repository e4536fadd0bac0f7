"""Test that each request and each job is logged in one line, with an ID chosen by the service."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.extensions import db
from skymailing.models import MailingState, User
from tests.logs.conftest import Lines
from tests.support.factories import MailingFactory, create_clients, due_mailing

# Log lines do not depend on the database.
pytestmark = pytest.mark.one_engine


@pytest.mark.parametrize("path", ["/healthz", "/", "/no-such-page", "/clients/", "/static/css/site.css"])
def test_every_responses_id_is_in_its_log_line(
    session: Session, visitor: FlaskClient, lines: Lines, path: str
) -> None:
    response = visitor.get(path, headers={"X-Request-ID": "chosen-by-someone"})
    repeated = visitor.get(path)  # possibly from the cache, without Flask
    response.close()
    repeated.close()

    ids = [response.headers["X-Request-ID"], repeated.headers["X-Request-ID"]]
    assert len(set(ids)) == 2
    assert "chosen" not in "".join(ids)
    assert [entry["request_id"] for entry in lines.from_logger("skymailing.requests")] == ids
    assert [entry["status"] for entry in lines.from_logger("skymailing.requests")] == [
        response.status_code,
        repeated.status_code,
    ]


def test_a_line_has_the_route_and_the_user_but_not_the_url(
    browser: FlaskClient, user: User, lines: Lines
) -> None:
    mailing = MailingFactory.create(owner=user)
    browser.get(f"/mailings/{mailing.id}/log?q=anna@example.org").close()
    browser.get("/auth/reset/some-token\nGET / 200").close()

    log, reset = lines.from_logger("skymailing.requests")
    assert (log["method"], log["route"], log["status"]) == ("GET", "/mailings/<int:mailing_id>/log", 200)
    assert (log["mailing_id"], log["user_id"]) == (mailing.id, user.id)
    assert log["ms"] > 0
    assert reset["route"] in ("/auth/reset/<token>", "(no such page)")
    for forbidden in ("anna", "some-token", "127.0.0.1"):
        assert forbidden not in lines.raw


def test_the_line_of_a_request_that_has_committed_needs_no_database(
    app: Flask, browser: FlaskClient, user: User, lines: Lines
) -> None:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    def note_commit(_connection: Any) -> None:
        statements.clear()

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", note_commit)
    try:
        response = browser.post("/clients/new", data={"email": "anna@example.org"})
    finally:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "commit", note_commit)
    response.close()

    assert response.status_code == 302
    assert statements == []
    assert lines.from_logger("skymailing.requests")[-1]["user_id"] == user.id


def test_lines_logged_by_a_view_include_the_request_id(
    app: Flask, visitor: FlaskClient, lines: Lines
) -> None:
    def fail(_error: object) -> None:
        raise RuntimeError("of anna@example.org")

    patch = pytest.MonkeyPatch()
    patch.setitem(app.view_functions, "health.live", lambda: fail(None))
    patch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    try:
        response = visitor.get("/healthz")
    finally:
        patch.undo()

    (entry,) = lines.from_logger("skymailing")
    assert response.status_code == 500
    assert entry["request_id"] == response.headers["X-Request-ID"]
    assert "RuntimeError: of …@example.org" in entry["exception"]


def test_each_job_writes_one_line_and_all_its_lines_include_its_id(
    app: Flask, session: Session, user: User, work: Callable[[], None], lines: Lines
) -> None:
    create_clients(user, 3)
    mailing = due_mailing(user, state=MailingState.SCHEDULED)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
        queue.enqueue("continue_sweep", 0, "lease", "not a time")
    work()

    entries = lines.from_logger("skymailing.jobs")
    assert {(entry["job"], entry["done"]) for entry in entries} >= {
        ("start_mailing", True),
        ("send_slice", True),
        ("continue_sweep", False),
    }
    assert len({entry["job_id"] for entry in entries}) == len(entries)
    assert all(isinstance(entry["run_id"], int) for entry in entries if entry["job"] == "send_slice")
    (error,) = [entry for entry in lines.entries if "exception raised while executing" in entry["message"]]
    assert error["job_id"] in {entry["job_id"] for entry in entries if not entry["done"]}
