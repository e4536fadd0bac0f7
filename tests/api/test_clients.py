"""Clients and tags through the API."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    AuditAction,
    AuditEntry,
    Client,
    Segment,
    SuppressionReason,
    Tag,
    User,
    client_tags,
)
from tests.api.conftest import Program
from tests.conftest import SetLimits
from tests.support.factories import ClientFactory, SuppressionFactory


def add(program: Program, email: str = "anna@example.org", **values: object) -> dict[str, object]:
    created: dict[str, object] = program.write("POST", "/clients", {"email": email} | values, 201)
    return created


def test_a_client_is_added_read_changed_and_deleted(program: Program, session: Session) -> None:
    values = {
        "full_name": " Anna ",
        "tags": ["VIP", "new"],
        "attributes": {"City": "Tula", "age": 30, "x": None},
    }
    response = program.post("/clients", {"email": "Anna@Example.org"} | values)
    assert response.status_code == 201
    created = response.json
    assert created is not None
    assert response.headers["Location"] == f"/api/v1/clients/{created['id']}"
    assert (created["email"], created["full_name"], created["tags"]) == (
        "Anna@example.org",
        "Anna",
        ["new", "VIP"],
    )
    assert created["attributes"] == {"city": "Tula", "age": "30"}
    assert created["suppressed"] is None
    path = f"/clients/{created['id']}"
    assert program.read(path) == created

    change = {"tags": ["new", "loyal"], "attributes": {"CITY": None, "shoe": "M"}}
    changed = program.write("PATCH", path, change)
    assert (changed["tags"], changed["attributes"]) == (["loyal", "new"], {"age": "30", "shoe": "M"})
    assert (changed["full_name"], changed["email"]) == ("Anna", "Anna@example.org")

    assert program.send("DELETE", path).status_code == 204
    assert program.refuse("GET", path)[0] == 404
    (entry,) = session.scalars(select(AuditEntry))
    assert (entry.action, entry.target) == (AuditAction.CLIENT_DELETED, "Anna@example.org")


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"email": "anna"}, (422, "address_no_at_sign", ["/email"])),
        ({"email": "a@b.example", "full_name": "x" * 201}, (422, "client_name_too_long", ["/full_name"])),
        (
            {"email": "a@b.example", "attributes": {"!": "x"}},
            (422, "client_attribute_unnamed", ["/attributes"]),
        ),
        ({"email": "a@b.example", "attributes": {"a": []}}, (422, "invalid", ["/attributes/a"])),
        ({"email": "a@b.example", "tags": ["x" * 101]}, (422, "tag_too_long", ["/tags"])),
        ({"email": "a@b.example", "id": 7}, (422, "invalid", ["/id"])),
        ({}, (422, "invalid", ["/email"])),
    ],
)
def test_invalid_values_are_refused_with_their_pointers(
    program: Program, session: Session, values: dict[str, object], refusal: tuple[int, str, list[str]]
) -> None:
    assert program.refuse("POST", "/clients", values) == refusal
    assert session.scalars(select(Client)).all() == []


def test_a_second_client_with_an_address_is_a_conflict(program: Program) -> None:
    add(program)
    first = add(program, "boris@example.org")
    assert program.refuse("POST", "/clients", {"email": "ANNA@example.org"}) == (
        409,
        "client_duplicate",
        ["/email"],
    )
    refusal = program.refuse("PATCH", f"/clients/{first['id']}", {"email": "anna@example.org"})
    assert refusal == (409, "client_duplicate", ["/email"])


@pytest.mark.parametrize("email", ["anna@example.org", "a+b/c?d#e%f@example.org", "o'hara&co@почта.рф"])
def test_a_client_is_put_by_any_spelling_of_the_address(
    program: Program, session: Session, email: str
) -> None:

    path = f"/clients/by-email/{quote(email, safe='')}"
    created = program.write("PUT", path, {"full_name": "A", "tags": ["a"], "attributes": {"n": 1}}, 201)
    same = program.write("PUT", path, {"full_name": "", "tags": ["a"]})
    assert same == created
    updated = program.write("PUT", path, {"tags": ["b"], "attributes": {"m": "2"}})
    assert (updated["full_name"], updated["tags"]) == ("A", ["a", "b"])
    assert updated["attributes"] == {"n": "1", "m": "2"}
    assert program.read(path)["id"] == created["id"]
    assert created["origin"] == "program"
    assert len(session.scalars(select(Client)).all()) == 1


def test_clients_are_filtered_as_on_the_page(program: Program, session: Session, user: User) -> None:
    anna, boris = add(program, tags=["vip"]), add(program, "boris@example.org", full_name="Борис")
    SuppressionFactory.create(
        owner_id=user.id, email_key="boris@example.org", reason=SuppressionReason.BOUNCED
    )
    segment = Segment(owner_id=user.id, name="VIP", conditions={"field": "tag", "op": "is", "value": "vip"})
    session.add(segment)
    session.flush()

    def ids(query: str) -> list[object]:
        return [row["id"] for row in program.read(f"/clients?{query}")["data"]]

    assert ids("tag=VIP") == [anna["id"]]
    assert ids("email=BORIS@example.org") == [boris["id"]]
    assert ids("q=бор") == [boris["id"]]
    assert ids("status=bounced") == [boris["id"]]
    assert ids("status=mailable") == [anna["id"]]
    assert ids(f"segment={segment.id}") == [anna["id"]]
    assert ids("segment=999") == []
    assert ids("tag=none") == []
    past, future = utcnow() - timedelta(minutes=1), utcnow() + timedelta(minutes=1)
    assert ids(f"updated_since={past:%Y-%m-%dT%H:%M:%SZ}") == [anna["id"], boris["id"]]
    assert ids(f"updated_since={future:%Y-%m-%dT%H:%M:%SZ}") == []
    assert program.read(f"/clients/{boris['id']}")["suppressed"] == "bounced"
    assert program.refuse("GET", "/clients?updated_since=2026-01-01T00:00:00")[2] == ["updated_since"]


def test_the_client_limit_applies(program: Program, set_limits: SetLimits) -> None:
    set_limits(clients=1)
    add(program)
    assert program.refuse("POST", "/clients", {"email": "b@example.org"})[:2] == (409, "client_limit")
    assert program.refuse("PUT", "/clients/by-email/b@example.org", {})[:2] == (409, "client_limit")


def test_tags_are_added_renamed_and_deleted(program: Program, session: Session) -> None:
    created = program.write("POST", "/tags", {"name": "vip"}, 201)
    client = add(program, tags=["vip"])
    path = f"/tags/{created['id']}"
    assert program.read(path) == created | {"clients": 1}
    assert program.refuse("POST", "/tags", {"name": "VIP"}) == (409, "tag_exists", ["/name"])
    assert program.refuse("POST", "/tags", {"name": " , "}) == (422, "tag_nameless", ["/name"])
    assert program.write("PATCH", path, {"name": "gold"})["name"] == "gold"
    assert program.read(f"/clients/{client['id']}")["tags"] == ["gold"]
    assert [tag["name"] for tag in program.read_all("/tags")] == ["gold"]
    assert program.send("DELETE", path).status_code == 204
    assert session.execute(select(client_tags)).all() == []
    assert session.scalars(select(Tag)).all() == []


def test_a_client_of_another_owner_cannot_be_deleted(program: Program, session: Session) -> None:
    foreign = ClientFactory.create()
    assert program.refuse("DELETE", f"/clients/{foreign.id}")[0] == 404
    session.expire_all()
    assert session.get(Client, foreign.id) is not None


def test_the_time_zone_is_read_checked_and_changed(program: Program) -> None:
    created = add(program, timezone="europe/moscow")
    assert created["timezone"] == "Europe/Moscow"
    path = f"/clients/{created['id']}"
    assert program.write("PATCH", path, {"full_name": "Anna"})["timezone"] == "Europe/Moscow"
    assert program.write("PATCH", path, {"timezone": "UTC+5"})["timezone"] == "Etc/GMT-5"
    refused = program.refuse("PATCH", path, {"timezone": "Mars"})
    assert refused == (422, "client_unknown_timezone", ["/timezone"])
    upserted = program.write("PUT", "/clients/by-email/anna@example.org", {"timezone": "Asia/Omsk"})
    assert upserted["timezone"] == "Asia/Omsk"
    rows = [{"email": "anna@example.org", "timezone": "Asia/Omsk"}, {"email": "b@x.com", "timezone": "Mars"}]
    result = program.write("POST", "/clients/batch", {"clients": rows})
    assert [row["verdict"] for row in result["results"]] == ["unchanged", "refused"]
    assert result["results"][1]["errors"][0]["pointer"] == "/clients/1/timezone"
    assert program.write("PATCH", path, {"timezone": ""})["timezone"] == ""
