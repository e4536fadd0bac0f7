"""Requests of attackers: huge bodies, deep JSON, values that no program may set, and guessed keys."""

import io
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.api.conftest import Program
from tests.security.test_csrf import read_tables
from tests.support.statements import record_statements

pytestmark = pytest.mark.one_engine

HUGE = 100 * 1024 * 1024  # bytes
# Columns that no program may set.
FORBIDDEN: dict[str, Any] = {
    "id": 1,
    "owner_id": 1,
    "version": 1,
    "created_at": "2026-01-01T00:00:00Z",
    "state": "finished",
    "confirmed_at": "2026-01-01T00:00:00Z",
    "is_by_owner": False,
}
WRITING: dict[str, dict[str, Any]] = {
    "/clients": {"email": "a@example.org"},
    "/tags": {"name": "vip"},
    "/segments": {"name": "x", "conditions": {"field": "email", "op": "is_set"}},
    "/topics": {"name": "News"},
    "/suppressions": {"email": "a@example.org"},
    "/messages": {"subject": "x", "body": "x"},
    "/mailings": {"name": "x", "message_id": 1, "ends_at": "2030-01-01T00:00:00Z"},
    "/webhooks": {"url": "https://shop.example/", "events": ["run.finished"]},
}


class Unread(io.RawIOBase):
    """A body that must not be read."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: Any) -> int:
        raise AssertionError("the body was read")


@pytest.mark.parametrize("path", ["/clients", "/clients/batch", "/imports"])
@pytest.mark.parametrize("kind", ["application/json", "text/csv", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "huge"}], ids=["once", "repeatable"])
def test_a_huge_body_is_refused_unread(
    program: Program, path: str, kind: str, headers: dict[str, str]
) -> None:
    environ: dict[str, Any] = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(HUGE), "CONTENT_TYPE": kind}
    response = program.send("POST", path, headers=headers, environ_overrides=environ)
    assert response.status_code in (413, 415)
    assert response.mimetype == "application/problem+json"


def test_a_deep_body_is_refused_before_its_values_are_read(program: Program) -> None:
    body = b'{"name": "x", "conditions": ' + b'{"not": ' * 100_000 + b"}" * 100_000 + b"}"
    refusal = program.refuse("POST", "/segments", data=body, content_type="application/json")
    assert refusal[:2] == (400, "json_too_deep")


@pytest.mark.parametrize("path", WRITING)
def test_programs_cannot_set_internal_columns(program: Program, session: Session, path: str) -> None:
    before = read_tables(session)
    _status, code, places = program.refuse("POST", path, WRITING[path] | FORBIDDEN)
    assert code == "invalid"
    assert {f"/{name}" for name in FORBIDDEN} <= set(places)
    assert read_tables(session) == before


def test_guessing_keys_reveals_nothing(app: Flask, program: Program) -> None:
    """Each well-formed key takes one search for its digest, which reveals nothing about similar keys."""
    guesses = [f"sky_live_{'x' * 27}", program.key[:-1] + "x", program.key]
    recorded = []
    for guess in guesses:
        with record_statements() as statements:
            app.test_client().get("/api/v1/tags/0", headers={"Authorization": f"Bearer {guess}"})
        recorded.append([text for text in statements if "api_keys" in text])
    assert [len(texts) for texts in recorded] == [1, 1, 1]
    assert recorded[0] == recorded[1] == recorded[2]
