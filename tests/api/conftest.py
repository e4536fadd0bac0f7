"""Fixtures for programs that use the API."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.models import CaughtLetter, KeyKind, MailingState, User
from tests.security.object_factories import (
    make_bounce,
    make_caught_letter,
    make_delivery,
    make_form,
    make_import,
    make_letter,
    make_message_file,
    make_run,
    make_segment,
    make_sender,
    make_suppression,
    make_tag,
    make_topic,
    make_webhook,
    make_webhook_call,
)
from tests.security.sequence_objects import make_place, make_sequence, make_step
from tests.support.api_factories import ApiKeyFactory
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory
from tests.support.sales import PurchaseFactory
from tests.support.sequence_factories import Sequences
from tests.support.servers import Letter

MakeProgram = Callable[..., "Program"]
numbers = count()
LETTER = {"to": "anna@example.org", "subject": "Order", "body": "Total: {{ total }}", "values": {"total": 12}}


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

    def write(self, method: str, path: str, json: Any = None, status: int = 200) -> Any:
        """Return the JSON of a change that succeeds with this status."""
        response = self.send(method, path, json)
        assert response.status_code == status, response.text
        return response.json

    def refuse(self, method: str, path: str, json: Any = None, **options: Any) -> tuple[int, str, list[str]]:
        """Return the status and the code of an error, and the pointers to invalid values."""
        response = self.send(method, path, json, **options)
        assert response.mimetype == "application/problem+json", response.text
        assert response.json is not None
        assert response.json["status"] == response.status_code
        places = [error.get("pointer", error.get("parameter")) for error in response.json["errors"]]
        return response.status_code, response.json["code"], places

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
            assert bool(link) == (page.json["next"] is not None)
            following = link.partition("/api/v1")[2].partition(">")[0] if link else None
        return rows


@pytest.fixture
def make_program(app: Flask, session: Session) -> MakeProgram:
    """Return a function that creates a program with an API key of an owner."""

    def make(owner: User, **values: Any) -> Program:
        secret = f"sky_{values.get('kind', 'live')}_{next(numbers):027d}"
        ApiKeyFactory.create(owner=owner, secret=secret, **values)
        return Program(app.test_client(), secret)

    return make


@pytest.fixture
def program(make_program: MakeProgram, user: User) -> Program:
    """Return a program of `user` with a live key, which has all scopes."""
    return make_program(user)


@pytest.fixture
def arguments(user: User) -> dict[str, Any]:
    """Return an object of `user` for each argument of a path."""
    return {
        "client_id": ClientFactory.create(owner=user).id,
        "email": ClientFactory.create(owner=user).email,
        "tag_id": make_tag(user).id,
        "message_id": MessageFactory.create(owner=user).id,
        "file_id": make_message_file(user).id,
        "mailing_id": MailingFactory.create(owner=user, state=MailingState.PAUSED).id,
        "run_id": make_run(user).id,
        "delivery_id": make_delivery(user).id,
        "endpoint_id": make_webhook(user).id,
        "call_id": make_webhook_call(user).id,
        "letter_id": make_letter(user).id,
        "segment_id": make_segment(user).id,
        "topic_id": make_topic(user).id,
        "sequence_id": make_sequence(user).id,
        "step_id": make_step(user).id,
        "enrolment_id": make_place(user).id,
        "suppression_id": make_suppression(user).id,
        "sender_id": make_sender(user).id,
        "form_id": make_form(user).id,
        "bounce_id": make_bounce(user).id,
        "caught_id": make_caught_letter(user).id,
        "import_id": make_import(user).id,
        "purchase_id": PurchaseFactory.create(client__owner=user).id,
    }


@pytest.fixture
def tester(make_program: MakeProgram, user: User) -> Program:
    """Return a program of `user` with a test key, which has all scopes."""
    return make_program(user, kind=KeyKind.TEST)


def arrived(session: Session) -> list[Letter]:
    """Return the caught letters in the form of letters accepted by a mail server."""
    return [Letter("", [letter.email], letter.source) for letter in session.scalars(select(CaughtLetter))]


@pytest.fixture
def sequences(app: Flask, session: Session, user: User) -> Sequences:
    return Sequences(app, session, user)
