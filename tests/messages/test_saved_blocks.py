"""Test blocks that users save for other messages."""

import json

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.messages import saved_blocks
from skymailing.models import SavedBlock, User
from tests.support.factories import UserFactory

pytestmark = pytest.mark.one_engine

BLOCK = {"id": "a", "type": "heading", "text": "Hello, {{ name }}"}


@pytest.mark.both_engines
def test_blocks_are_saved_listed_and_deleted(browser: FlaskClient, session: Session, user: User) -> None:
    session.add(SavedBlock(owner_id=UserFactory.create().id, name="Other", block="{}"))
    for name in ("Title ", "Headline"):
        response = browser.post("/messages/blocks", data={"name": name, "block": json.dumps(BLOCK)})
        assert response.status_code == 201

    listed = browser.get("/messages/blocks").json
    assert listed is not None
    assert [(block["name"], block["block"]) for block in listed] == [("Headline", BLOCK), ("Title", BLOCK)]
    assert browser.post(f"/messages/blocks/{listed[0]['id']}/delete").status_code == 204
    own = session.scalars(select(SavedBlock).where(SavedBlock.owner_id == user.id)).all()
    assert [block.name for block in own] == ["Title"]


@pytest.mark.parametrize(
    ("name", "block", "problem"),
    [
        ("", json.dumps(BLOCK), "Enter a name of up to 100 characters."),
        ("x" * 101, json.dumps(BLOCK), "Enter a name of up to 100 characters."),
        ("a", "{", "The design is not valid JSON."),
        ("a", json.dumps(BLOCK | {"text": 5}), "/text: Text is expected here."),
        ("a", "[]", "An object is expected here."),
    ],
)
def test_invalid_blocks_are_refused(browser: FlaskClient, name: str, block: str, problem: str) -> None:
    response = browser.post("/messages/blocks", data={"name": name, "block": block})
    assert (response.status_code, response.json) == (422, {"problem": problem})


def test_the_number_of_saved_blocks_is_limited(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_blocks, "MAX_SAVED", 1)
    form = {"name": "a", "block": json.dumps(BLOCK)}
    assert browser.post("/messages/blocks", data=form).status_code == 201
    response = browser.post("/messages/blocks", data=form)
    assert response.json == {"problem": "You can save up to 1 blocks. Delete those that you no longer need."}


def test_the_total_size_of_saved_blocks_is_limited(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_blocks, "MAX_TOTAL", 1_000)
    form = {"name": "a", "block": json.dumps(BLOCK | {"text": "x" * 480})}
    statuses = [browser.post("/messages/blocks", data=form).status_code for _ in range(3)]
    assert statuses == [201, 422, 422]
    assert "larger than 1 KB" in browser.post("/messages/blocks", data=form).json["problem"]  # type: ignore[index]
