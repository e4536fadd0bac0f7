"""Messages through the API."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.models import Layout, Message, User
from tests.api.conftest import Program
from tests.conftest import SetLimits
from tests.support.factories import MailingFactory, MessageFactory, UserFactory

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


def test_a_layout_surrounds_the_text(program: Program, session: Session, user: User) -> None:
    layout = Layout(owner_id=user.id, name="Frame", format="html", body="<p>Top</p>{{ content }}")
    other = Layout(owner_id=UserFactory.create().id, name="Other", format="html", body="{{ content }}")
    session.add_all([layout, other])
    session.commit()

    created = program.post("/messages", NEW | {"layout": layout.id}).json
    assert created is not None
    assert (created["format"], created["body"], created["layout"]) == ("markdown", NEW["body"], layout.id)
    assert created["html"].startswith("<")
    assert "<p>Top</p>" in created["html"]
    path = f"/messages/{created['id']}"
    assert program.write("PATCH", path, {"subject": "Hi"})["layout"] == layout.id
    changed = program.write("PATCH", path, {"layout": None})
    assert (changed["layout"], changed["html"], changed["body"]) == (None, None, NEW["body"])
    refused = program.post("/messages", NEW | {"layout": other.id})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/layout"  # type: ignore[index]


def test_a_message_in_use_cannot_be_deleted(program: Program, user: User) -> None:
    mailing = MailingFactory.create(owner=user)
    assert program.refuse("DELETE", f"/messages/{mailing.message_id}")[:2] == (409, "message_in_use")


def test_the_message_limit_applies(program: Program, set_limits: SetLimits) -> None:
    set_limits(messages=1)
    program.write("POST", "/messages", NEW, 201)
    assert program.refuse("POST", "/messages", NEW)[:2] == (409, "message_limit")


DESIGN = {
    "version": 1,
    "blocks": [{"id": "a", "type": "button", "text": "Buy now", "url": "https://a.example/?x=1&y=2"}],
}
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>"


def test_blocks_are_written_read_and_changed(program: Program) -> None:
    new = {"subject": "s", "preheader": "p", "format": "blocks", "design": DESIGN}
    created = program.write("POST", "/messages", new, 201)
    assert (created["format"], created["design"], created["body"]) == ("blocks", DESIGN, None)
    assert ">Buy now</a>" in created["html"]
    path = f"/messages/{created['id']}"
    assert program.read(path) == created
    assert program.read("/messages")["data"][0]["format"] == "blocks"

    renamed = program.write("PATCH", path, {"subject": "t"})
    assert (renamed["subject"], renamed["design"], renamed["version"]) == ("t", DESIGN, 2)
    assert renamed["preheader"] == "p"
    mjml = program.write("PATCH", path, {"format": "mjml", "body": MJML})
    assert (mjml["format"], mjml["body"], mjml["design"]) == ("mjml", MJML, None)
    assert ">Hi</div>" in mjml["html"]
    html = program.write("PATCH", path, {"format": "html"})
    assert (html["format"], html["body"], html["html"]) == ("html", mjml["html"], None)


@pytest.mark.parametrize(
    ("values", "code", "place"),
    [
        ({"format": "blocks"}, "required", "/design"),
        ({"format": "blocks", "design": DESIGN, "body": "x"}, "unknown_field", "/body"),
        ({"format": "html", "body": "x", "design": DESIGN}, "unknown_field", "/design"),
        ({"format": "html"}, "required", "/body"),
        ({"format": "blocks", "design": []}, "invalid_value", "/design"),
        ({"format": "blocks", "design": {"version": 2}}, "design_version", "/design/version"),
        (
            {"format": "blocks", "design": {"version": 1, "blocks": [{"id": "a", "type": "x"}]}},
            "design_unknown_block",
            "/design/blocks/0/type",
        ),
        (
            {
                "format": "blocks",
                "design": {"version": 1, "blocks": [{"id": "a", "type": "heading", "text": "{{ x"}]},
            },
            "message_template",
            "/design/blocks/0/text",
        ),
        ({"format": "mjml", "body": "<mjml>"}, "mjml_unclosed", "/body"),
        ({"format": "mjml", "body": "{% if %}"}, "message_template", "/body"),
        ({"body": "a", "preheader": "{{ x"}, "message_template", "/preheader"),
        ({"body": "a", "preheader": "x" * 251}, "invalid_value", "/preheader"),
    ],
)
def test_errors_in_a_source_have_a_pointer(
    program: Program, values: dict[str, object], code: str, place: str
) -> None:
    response = program.post("/messages", {"subject": "s"} | values)
    assert response.status_code == 422
    assert response.json is not None
    (error,) = response.json["errors"]
    assert (error["pointer"], error["code"]) == (place, code)


def test_a_block_message_can_be_changed_only_in_the_version_that_was_read(program: Program) -> None:
    response = program.post("/messages", {"subject": "s", "format": "blocks", "design": DESIGN})
    assert response.json is not None
    path, known = f"/messages/{response.json['id']}", {"If-Match": response.headers["ETag"]}
    assert program.send("PATCH", path, {"subject": "t"}, headers=known).status_code == 200
    assert program.send("PATCH", path, {"subject": "u"}, headers=known).status_code == 412


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
