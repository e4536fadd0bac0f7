"""Test that the errors of schemas are in the reader's language."""

import re
from typing import Any

import pytest
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.api.conftest import LETTER, Program

pytestmark = pytest.mark.one_engine

RUSSIAN = re.compile(r"[а-яё]", re.IGNORECASE)


@pytest.mark.parametrize(
    ("path", "body", "pointer", "english"),
    [
        ("/letters", LETTER | {"name": 5}, "/name", "This must be a string."),
        ("/letters", LETTER | {"message_id": "x"}, "/message_id", "This must be a whole number."),
        ("/letters", LETTER | {"values": []}, "/values", "This must be an object."),
        ("/letters", LETTER | {"language": "xx"}, "/language", "This must be one of: "),
        ("/letters", LETTER | {"reference": "x" * 256}, "/reference", "The length must be at most 255."),
        ("/letters", LETTER | {"attachments": {}}, "/attachments", "This must be an array."),
        ("/letters", LETTER | {"attachments": [5]}, "/attachments/0", "This must be an object."),
        ("/letters", [], "", "This must be an object."),
        (
            "/mailings",
            {"name": "A", "message_id": 1, "ends_at": "2026-12-31T09:00:00"},
            "/ends_at",
            "This must be a time with an offset, such as 2026-12-31T09:00:00+03:00.",
        ),
        (
            "/mailings",
            {"name": "A", "message_id": 1, "audience": "tag"},
            "/audience",
            "This must be one of: ",
        ),
    ],
)
def test_errors_of_schemas_are_translated(
    program: Program, path: str, body: Any, pointer: str, english: str
) -> None:
    texts = []
    for language in ("en", "ru"):
        answer = program.post(path, body, headers={"Accept-Language": language})
        assert answer.status_code == 422
        assert answer.json is not None
        (text,) = (error["detail"] for error in answer.json["errors"] if error["pointer"] == pointer)
        texts.append(text)
    assert texts[0].startswith(english)
    assert RUSSIAN.search(texts[1])


def test_parameters_have_ranges(program: Program) -> None:
    answer = program.get("/clients?limit=1000", headers={"Accept-Language": "ru"})
    assert answer.json is not None
    (error,) = answer.json["errors"]
    assert error["parameter"] == "limit"
    assert error["detail"] == "Значение должно быть от 1 до 200."


@pytest.mark.parametrize("path", ["/clients", "/clients/batch"])
def test_names_of_attributes_that_differ_only_in_case_are_refused(
    program: Program, session: Session, user: User, path: str
) -> None:
    client = {"email": "a@example.org", "attributes": {"City": "Tula", "city ": "Omsk"}}
    if path == "/clients":
        assert program.refuse("POST", path, client) == (422, "client_attribute_twice", ["/attributes"])
        return
    (row,) = program.write("POST", path, {"clients": [client]})["results"]
    assert [error["code"] for error in row["errors"]] == ["client_attribute_twice"]
