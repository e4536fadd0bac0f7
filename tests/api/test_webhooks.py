"""Webhooks through the API."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import IdempotentRequest, User, WebhookCall, WebhookEndpoint
from tests.api.conftest import Program
from tests.security.object_factories import make_webhook_call

NEW: dict[str, Any] = {"url": "https://shop.example/hook", "events": ["run.finished"]}


def test_a_webhook_is_added_changed_and_deleted(program: Program, session: Session) -> None:
    created = program.write("POST", "/webhooks", NEW, 201)
    assert created.pop("secret").startswith("whsec_")
    path = f"/webhooks/{created['id']}"
    assert program.read(path) == created == created | NEW | {"state": "enabled"}
    changed = program.write("PATCH", path, {"events": ["bounce.received", "run.finished"]})
    assert set(changed["events"]) == {"bounce.received", "run.finished"}
    assert changed["url"] == NEW["url"]
    assert program.read_all("/webhooks") == [changed]
    assert program.write("POST", f"{path}/disable")["state"] == "disabled"
    assert program.refuse("POST", f"{path}/test")[:2] == (409, "webhook_disabled")
    assert program.write("POST", f"{path}/enable")["state"] == "enabled"
    assert program.write("POST", f"{path}/rotate")["secret"].startswith("whsec_")
    assert program.send("DELETE", path).status_code == 204
    assert session.scalars(select(WebhookEndpoint)).all() == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"url": "http://shop.example/"}, "/url"),
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": "x"}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["client.invented"]}, "/events/0"),
        ({"secret": "whsec_x"}, "/secret"),
        ({"owner_id": 1}, "/owner_id"),
    ],
)
def test_errors_name_the_field(program: Program, session: Session, change: Any, place: str) -> None:
    status, _code, places = program.refuse("POST", "/webhooks", NEW | change)
    assert (status, places) == (422, [place])
    assert session.scalars(select(WebhookEndpoint)).all() == []


def test_the_secret_is_not_stored_for_a_repeated_request(program: Program, session: Session) -> None:
    first, second = (program.post("/webhooks", NEW, headers={"Idempotency-Key": "hook"}) for _ in range(2))
    assert first.json is not None
    assert second.json == first.json | {"secret": None}
    (stored,) = session.scalars(select(IdempotentRequest.body))
    assert first.json["secret"].encode() not in (stored or b"")
    assert len(session.scalars(select(WebhookEndpoint)).all()) == 1


def test_calls_are_listed_and_sent_again(program: Program, session: Session, user: User) -> None:
    call = make_webhook_call(user)
    path = f"/webhooks/{call.endpoint_id}/calls"
    (row,) = program.read_all(path)
    assert (row["id"], row["event_id"], row["type"]) == (
        call.id,
        f"evt_{call.event.uuid.hex}",
        call.event.type,
    )
    again = program.write("POST", f"/webhook-calls/{call.id}/again", status=202)
    assert (again["id"], again["state"]) == (call.id, "pending")
    assert program.read_all(f"{path}?state=failed") == []
    program.write("POST", f"/webhooks/{call.endpoint_id}/test", status=202)
    assert len(session.scalars(select(WebhookCall)).all()) == 2
    types = {row["type"] for row in program.read_all(f"{path}?limit=1")}
    assert types == {call.event.type, "webhook.test"}
