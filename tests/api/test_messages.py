"""Messages through the API."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.models import Message, User
from tests.api.conftest import Program
from tests.conftest import SetLimits
from tests.support.factories import MailingFactory, MessageFactory

NEW = {"subject": "Hello, {{ name }}", "format": "markdown", "body": "Hi!\n\n{{ unsubscribe_url }}"}


def test_a_message_is_written_read_changed_and_deleted(program: Program, session: Session) -> None:
    response = program.post("/messages", NEW)
    assert response.status_code == 201
    created = response.json
    assert created is not None
    assert response.headers["Location"] == f"/api/v1/messages/{created['id']}"
    assert {name: created[name] for name in NEW} == NEW
    assert (created["language"], created["version"]) == ("en", 1)
    path = f"/messages/{created['id']}"
    assert program.read(path) == created
    changed = program.write("PATCH", path, {"body": "Bye"})
    assert (changed["subject"], changed["body"], changed["version"]) == (NEW["subject"], "Bye", 2)
    (listed,) = program.read("/messages")["data"]
    assert "body" not in listed
    assert program.send("DELETE", path).status_code == 204
    assert session.scalars(select(Message)).all() == []


@pytest.mark.parametrize(
    ("values", "code", "place"),
    [
        ({"body": "{% if %}"}, "message_template", "/body"),
        ({"subject": "{{ name"}, "message_template", "/subject"),
        ({"subject": ""}, "invalid_value", "/subject"),
        ({"subject": "x" * 501}, "invalid_value", "/subject"),
        ({"format": "docx"}, "invalid_value", "/format"),
        ({"language": "fr"}, "invalid_value", "/language"),
        ({"version": 5}, "unknown_field", "/version"),
    ],
)
def test_errors_name_the_field(
    program: Program, user: User, values: dict[str, object], code: str, place: str
) -> None:
    message = MessageFactory.create(owner=user)
    requests = (("POST", "/messages", NEW | values), ("PATCH", f"/messages/{message.id}", values))
    for method, path, body in requests:
        response = program.send(method, path, body)
        assert response.status_code == 422
        assert response.json is not None
        (error,) = response.json["errors"]
        assert (error["pointer"], error["code"]) == (place, code)


def test_a_message_in_use_stays(program: Program, user: User) -> None:
    mailing = MailingFactory.create(owner=user)
    assert program.refuse("DELETE", f"/messages/{mailing.message_id}")[:2] == (409, "message_in_use")


def test_the_limit_of_messages_holds(program: Program, set_limits: SetLimits) -> None:
    set_limits(messages=1)
    program.write("POST", "/messages", NEW, 201)
    assert program.refuse("POST", "/messages", NEW)[:2] == (409, "message_limit")


def test_files_are_attached_listed_and_removed(program: Program, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    path = f"/messages/{message.id}/files"

    response = upload(program, f"{path}?filename=../Счёт.pdf", b"%PDF")

    assert response.status_code == 201
    created = response.json
    assert created is not None
    assert (created["name"], created["content_type"], created["size"]) == ("Счёт.pdf", "application/pdf", 4)
    assert program.read(path)["data"] == [created]
    session.refresh(message)
    assert message.version == 2
    other = MessageFactory.create(owner=user)
    assert program.send("DELETE", f"/messages/{other.id}/files/{created['id']}").status_code == 404
    assert program.send("DELETE", f"{path}/{created['id']}").status_code == 204
    assert program.read(path)["data"] == []


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("run.exe", b"MZ", 422, "file_type_refused"),
        ("empty.pdf", b"", 422, "file_empty"),
        ("large.pdf", b"x" * (5 * 1024 * 1024 + 1), 409, "file_total_too_large"),
    ],
)
def test_a_file_is_refused(
    program: Program, user: User, name: str, content: bytes, status: int, code: str
) -> None:
    message = MessageFactory.create(owner=user)
    response = upload(program, f"/messages/{message.id}/files?filename={name}", content)
    assert response.json is not None
    assert (response.status_code, response.json["code"]) == (status, code)


def upload(program: Program, path: str, content: bytes) -> TestResponse:
    return program.post(path, data=content, content_type="application/octet-stream")
