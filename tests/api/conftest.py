"""Fixtures for programs that use the API."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.api.keys import digest_of
from skymailing.clock import utcnow
from skymailing.models import ApiKey, KeyKind, User

MakeKey = Callable[..., str]


class Program:
    """A program with an API key."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self.client, self.key = client, key

    def send(
        self, method: str, path: str, json: Any = None, headers: dict[str, str] | None = None, **options: Any
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.key}"} | (headers or {})
        return self.client.open(f"/api/v1{path}", method=method, json=json, headers=sent, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.send("POST", path, json, **options)

    def read(self, path: str) -> Any:
        """Return the JSON of a successful request."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json

    def read_all(self, path: str) -> list[Any]:
        """Return all rows of a list, page by page."""
        rows: list[Any] = []
        following: str | None = path
        while following:
            page = self.get(following)
            assert page.status_code == 200, page.text
            assert page.json is not None
            rows += page.json["data"]
            link = page.headers.get("Link", "")
            following = link.partition("<")[2].partition(">")[0].partition("/api/v1")[2] if link else None
        return rows


def add_key(session: Session, owner: User, secret: str = "", **values: Any) -> str:
    """Store a key for the owner and return it."""
    kind = values.pop("kind", KeyKind.LIVE)
    count = session.query(ApiKey).count()
    secret = secret or f"sky_{kind}_{count:027d}"
    row = ApiKey(
        owner_id=owner.id, name="Shop", kind=kind, prefix=secret[:13], digest=digest_of(secret), **values
    )
    row.created_at = row.created_at or utcnow()
    session.add(row)
    session.flush()
    return secret


@pytest.fixture
def make_program(app: Flask, session: Session) -> Callable[..., Program]:
    """Return a function that gives an owner's program a key."""
    return lambda owner, **values: Program(app.test_client(), add_key(session, owner, **values))


@pytest.fixture
def program(make_program: Callable[..., Program], user: User) -> Program:
    """Return a program of `user` whose key may do everything."""
    return make_program(user)
