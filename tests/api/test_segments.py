"""Segments through the API."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Audience, MailingAudience, MailingState, Segment, SuppressionReason, User
from tests.api.conftest import MakeProgram, Program
from tests.conftest import SetLimits
from tests.support.factories import ClientFactory, MailingFactory, SuppressionFactory

IN_OMSK = {"field": "attribute.city", "op": "equals", "value": "omsk"}
NAMED = {"field": "full_name", "op": "is_set"}


@pytest.fixture
def clients(user: User) -> list[Any]:
    cities = ("Omsk", "Tula", "Omsk", "Omsk")
    return [ClientFactory.create(owner=user, attributes={"city": city}) for city in cities]


def test_a_segment_is_saved_read_replaced_and_deleted(
    program: Program, session: Session, clients: list[Any]
) -> None:
    created = program.post("/segments", {"name": " Omsk ", "conditions": {"all": [IN_OMSK, NAMED]}})
    assert created.status_code == 201
    assert created.json is not None
    path = created.headers["Location"].removeprefix("/api/v1")
    assert program.read(path) == created.json
    assert (created.json["name"], created.json["conditions"]) == ("Omsk", {"all": [IN_OMSK, NAMED]})
    change = {"name": "Not Omsk", "conditions": {"not": IN_OMSK}}
    replaced = program.write("PUT", path, change)
    assert {name: replaced[name] for name in change} == change
    assert program.read_all("/segments") == [replaced]
    etag = {"If-Match": created.headers["ETag"]}
    assert program.refuse("PUT", path, change, headers=etag)[:2] == (412, "changed")
    assert program.refuse("DELETE", path, headers=etag)[:2] == (412, "changed")
    assert program.send("DELETE", path).status_code == 204
    assert session.scalars(select(Segment)).all() == []


def test_the_clients_of_a_segment_are_listed_and_counted(
    program: Program, user: User, clients: list[Any]
) -> None:
    key = clients[0].email_key
    SuppressionFactory.create(owner_id=user.id, email_key=key, reason=SuppressionReason.MANUAL)
    created = program.write("POST", "/segments", {"name": "Omsk", "conditions": IN_OMSK}, 201)
    path = f"/segments/{created['id']}"
    expected = [clients[0], *clients[2:]]
    rows = program.read_all(f"{path}/clients?limit=2")
    assert [row["id"] for row in rows] == [client.id for client in expected]
    assert rows[0] == program.read(f"/clients/{clients[0].id}")
    counts = {"count": 3, "is_exact": True, "suppressed": 1, "total": 4}
    assert program.read(f"{path}/count") == counts
    assert program.write("POST", "/segments/count", {"conditions": IN_OMSK}) == counts


def test_counting_does_not_need_the_scope_to_write(make_program: MakeProgram, user: User) -> None:
    reader = make_program(user, scopes=["clients:read"])
    counted = reader.write("POST", "/segments/count", {"conditions": NAMED})
    assert counted["count"] == 0
    new = {"name": "x", "conditions": NAMED}
    assert reader.refuse("POST", "/segments", new)[:2] == (403, "scope_missing")


@pytest.mark.parametrize(
    ("conditions", "place", "code"),
    [
        ({}, "/conditions", "segment_unreadable"),
        ({"all": []}, "/conditions", "segment_empty"),
        (
            {"all": [NAMED, {"any": [NAMED, {"field": "x", "op": "is"}]}]},
            "/all/1/any/1",
            "segment_field_unknown",
        ),
        ({"not": {"field": "tag", "op": "is", "value": "none"}}, "/not", "segment_tag_missing"),
        ({"field": "full_name", "op": "gt", "value": 5}, "/conditions", "segment_operator_unknown"),
    ],
)
def test_the_wrong_condition_is_named(
    program: Program, session: Session, conditions: Any, place: str, code: str
) -> None:
    response = program.post("/segments", {"name": "x", "conditions": conditions})
    assert response.status_code == 422
    assert response.json is not None
    (error,) = response.json["errors"]
    assert error["code"] == response.json["code"] == code
    assert error["pointer"].startswith("/conditions")
    assert error["pointer"].endswith(place)
    assert session.scalars(select(Segment)).all() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb", 5])
def test_a_name_is_one_line(program: Program, name: object) -> None:
    refusal = program.refuse("POST", "/segments", {"name": name, "conditions": NAMED})
    assert refusal == (422, "invalid", ["/name"])


def test_a_segment_that_refers_to_a_deleted_object_can_be_read_but_not_counted(
    program: Program, session: Session, user: User
) -> None:
    conditions = {"field": "tag", "op": "is", "value": "gone"}
    segment = Segment(owner_id=user.id, name="Broken", conditions=conditions)
    session.add(segment)
    session.flush()
    path = f"/segments/{segment.id}"
    assert program.read(path)["conditions"] == conditions
    for further in ("count", "clients"):
        refusal = program.refuse("GET", f"{path}/{further}")
        assert refusal == (422, "segment_tag_missing", ["/conditions"])


def test_a_segment_in_use_cannot_be_deleted(program: Program, session: Session, user: User) -> None:
    created = program.write("POST", "/segments", {"name": "Named", "conditions": NAMED}, 201)
    mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, audience=Audience.SEGMENTS)
    session.add(
        MailingAudience(mailing_id=mailing.id, segment_id=created["id"], position=0, is_excluded=False)
    )
    session.flush()
    path = f"/segments/{created['id']}"
    assert program.refuse("DELETE", path)[:2] == (409, "segment_in_use")


def test_the_number_of_segments_is_limited(program: Program, set_limits: SetLimits) -> None:
    set_limits(segments=1)
    values = {"name": "Named", "conditions": NAMED}
    program.write("POST", "/segments", values, 201)
    assert program.refuse("POST", "/segments", values)[:2] == (409, "segment_limit")
