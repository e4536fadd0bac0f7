"""Test that no request holds SQLite's write lock while it computes."""

import io
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from skymailing.extensions import db
from skymailing.models import Message, User
from tests.mailings.pages import mailing_fields
from tests.support.factories import MailingFactory, MessageFactory

VIEWS = "skymailing.messages.views"
TYPED = {"subject": "Hi", "format": "markdown", "body": "Hello, {{ name }}"}


@pytest.fixture
def message(user: User) -> Message:
    created: Message = MessageFactory.create(owner=user)
    return created


@pytest.fixture
def watch(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[bool]]:
    """Return a function that replaces another one and lists for each call whether anyone else could write."""

    def replace(name: str) -> list[bool]:
        module, _, function = name.rpartition(".")
        original = getattr(__import__(module, fromlist=[function]), function)
        free: list[bool] = []

        def watched(*args: Any, **kwargs: Any) -> Any:
            free.append(can_write(app))
            return original(*args, **kwargs)

        monkeypatch.setattr(name, watched)
        return free

    return replace


def can_write(app: Flask) -> bool:
    with app.app_context():
        path = db.engine.url.database
    assert path is not None
    other = sqlite3.connect(path, timeout=0)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        other.close()


def picture() -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(file, "PNG")
    file.seek(0)
    return file


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("function", "path", "fields", "code"),
    [
        (f"{VIEWS}.editor.convert", "/messages/convert", TYPED | {"to": "html"}, 200),
        ("skymailing.messages.letter_check.inspect_letter", "/messages/preview", TYPED, 200),
        ("skymailing.messages.letter_check.inspect_letter", "/messages/insight", TYPED, 200),
        ("skymailing.messages.forms.check_content", "/messages/new", TYPED, 302),
        ("skymailing.messages.forms.check_content", "/messages/{id}/edit", TYPED, 302),
        ("skymailing.messages.pictures.write_picture", "/messages/pictures", {"picture": "picture"}, 200),
        ("skymailing.clients.uploads.read_file", "/clients/import", {"file": "csv"}, 302),
        ("skymailing.mailings.views.edit.make_preflight", "/mailings/preview", {"mailing": "new"}, 200),
        ("skymailing.mailings.views.edit.make_preflight", "/mailings/new", {"check": "1"}, 200),
        (
            "skymailing.mailings.views.edit.make_preflight",
            "/mailings/new",
            {"mailing": "new", "starts_at": "x"},
            200,
        ),
        ("skymailing.mailings.views.edit.measure_reach", "/mailings/new", {"mailing": "new"}, 302),
        ("skymailing.mailings.views.edit.measure_reach", "/mailings/{mailing}/edit", {"name": "New"}, 302),
        ("skymailing.mailings.services.find_recipients", "/mailings/{mailing}/start", {}, 302),
    ],
)
def test_other_connections_can_write_while_a_request_computes(
    browser: FlaskClient,
    message: Message,
    watch: Callable[[str], list[bool]],
    function: str,
    path: str,
    fields: dict[str, Any],
    code: int,
) -> None:
    free = watch(function)
    data = dict(fields)
    if "picture" in data:
        data["picture"] = (picture(), "x.png")
    if "file" in data:
        data["file"] = (io.BytesIO(b"email\na@example.com\n"), "clients.csv")
    if path.startswith("/mailings"):
        data = mailing_fields(message) | data
    mailing = MailingFactory.create(owner=message.owner, message=message) if "{mailing}" in path else None

    response = browser.post(path.format(id=message.id, mailing=mailing and mailing.id), data=data)

    assert response.status_code == code, response.text
    assert free
    assert all(free)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_view_that_only_writes_takes_the_lock_at_its_start(
    browser: FlaskClient, message: Message, watch: Callable[[str], list[bool]]
) -> None:
    """This keeps two requests from overwriting each other's changes."""
    free = watch("skymailing.messages.services.duplicate_message")
    assert browser.post(f"/messages/{message.id}/duplicate").status_code == 302
    assert free == [False]


def test_a_message_that_was_deleted_while_its_text_was_checked_is_not_saved(
    app: Flask, browser: FlaskClient, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = message.id

    def delete(_content: object) -> None:
        with db.engine.begin() as other:
            other.execute(db.delete(Message).where(Message.id == message_id))

    monkeypatch.setattr("skymailing.messages.forms.check_content", delete)
    assert browser.post(f"/messages/{message_id}/edit", data=TYPED).status_code == 404


def test_a_second_tab_that_saved_while_a_text_was_checked_is_a_conflict(
    browser: FlaskClient, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other tab has deleted the draft, which this request had read."""
    path = f"/messages/{message.id}"
    draft = browser.post(f"{path}/draft", data=TYPED | {"version": "1"})
    assert draft.status_code == 200
    is_first = True

    def save_in_another_tab(_content: object) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            other = browser.application.test_client()
            other._cookies = browser._cookies
            with browser.application.app_context():
                assert other.post(f"{path}/edit", data=TYPED | {"body": "Saved"}).status_code == 302

    monkeypatch.setattr("skymailing.messages.forms.check_content", save_in_another_tab)
    response = browser.post(f"{path}/edit", data=TYPED | {"version": "1", "body": "Typed here"})
    assert response.status_code == 409
    assert "Typed here" in response.text
