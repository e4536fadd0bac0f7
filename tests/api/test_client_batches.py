"""Batches of clients: a verdict about each row, and few statements for all rows."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clients.tags import MAX_TAGS
from skymailing.models import Client, Tag, User
from tests.api.conftest import Program
from tests.conftest import SetLimits
from tests.support.factories import ClientFactory
from tests.support.statements import record_statements


def save(program: Program, *rows: dict[str, Any]) -> Any:
    return program.write("POST", "/clients/batch", {"clients": list(rows)})


def test_each_row_has_its_own_verdict(program: Program, session: Session, user: User) -> None:
    known = ClientFactory.create(
        owner=user, email="known@example.org", email_key="known@example.org", attributes={"city": "Tula"}
    )
    response = save(
        program,
        {"email": "new@example.org", "full_name": "New", "tags": ["a"], "attributes": {"city": "Omsk"}},
        {"email": "KNOWN@example.org", "attributes": {"city": "Tula"}},
        {"email": "wrong"},
        {"email": "known@example.org", "full_name": "Known"},
        {"full_name": "No address"},
        {"email": "x@example.org", "owner_id": 5},
        {"email": "new@example.org"},
        {"email": "new@example.org", "tags": ["b"]},
    )
    verdicts = ["created", "unchanged", "refused", "updated", "refused", "refused", "unchanged", "updated"]
    assert [row["verdict"] for row in response["results"]] == verdicts
    assert {name: response[name] for name in ("created", "updated", "unchanged", "refused")} == {
        "created": 1,
        "updated": 2,
        "unchanged": 2,
        "refused": 3,
    }
    errors = {row["index"]: row["errors"] for row in response["results"] if "errors" in row}
    assert [(error["pointer"], error["code"]) for error in errors[2]] == [
        ("/clients/2/email", "address_no_at_sign")
    ]
    assert [(error["pointer"], error["code"]) for error in errors[4]] == [("/clients/4/email", "required")]
    assert [(error["pointer"], error["code"]) for error in errors[5]] == [
        ("/clients/5/owner_id", "unknown_field")
    ]
    new, *_rest = response["results"]
    assert program.read(f"/clients/{new['id']}")["tags"] == ["a", "b"]
    assert response["results"][3]["id"] == known.id
    session.expire_all()
    assert (known.full_name, known.attributes) == ("Known", {"city": "Tula"})


def test_an_unchanged_client_is_not_written(program: Program, session: Session) -> None:
    row = {"email": "a@example.org", "full_name": "A", "tags": ["t"], "attributes": {"n": 1}}
    (first,) = save(program, row)["results"]
    before = program.read(f"/clients/{first['id']}")
    (second,) = save(program, row)["results"]
    assert (second["verdict"], second["id"]) == ("unchanged", first["id"])
    assert program.read(f"/clients/{first['id']}") == before


def test_the_types_of_new_attributes_are_recognized(program: Program, session: Session, user: User) -> None:
    save(program, {"email": "a@example.org", "attributes": {"price": 5}}, {"email": "b@example.org"})
    session.expire_all()
    assert user.attribute_types == {"price": "number"}


def test_rows_beyond_the_limit_are_refused(program: Program, session: Session, set_limits: SetLimits) -> None:
    set_limits(clients=2)
    response = save(program, *({"email": f"{name}@example.org"} for name in "abcab"))
    assert [row["verdict"] for row in response["results"]] == ["created"] * 2 + ["refused"] + [
        "unchanged"
    ] * 2
    assert response["results"][2]["errors"][0]["code"] == "client_limit"
    assert session.scalar(select(func.count()).select_from(Client)) == 2


def test_rows_with_too_many_tags_are_refused(program: Program, session: Session, user: User) -> None:
    session.add_all(Tag(owner_id=user.id, name=f"t{n}", name_key=f"t{n}") for n in range(MAX_TAGS))
    session.flush()
    response = save(
        program, {"email": "a@example.org", "tags": ["new"]}, {"email": "b@example.org", "tags": ["t1"]}
    )
    assert [row["verdict"] for row in response["results"]] == ["refused", "created"]


@pytest.mark.parametrize("rows", [[], [{"email": "a@example.org"}] * 1001])
def test_a_batch_has_up_to_a_thousand_rows(program: Program, rows: list[Any]) -> None:
    assert program.refuse("POST", "/clients/batch", {"clients": rows}) == (422, "invalid", ["/clients"])


def test_a_row_that_is_not_an_object_is_refused(program: Program) -> None:
    assert program.refuse("POST", "/clients/batch", {"clients": ["a@example.org"]})[2] == ["/clients/0"]


def test_a_large_batch_takes_few_statements(program: Program) -> None:
    rows = [{"email": f"c{n}@example.org", "full_name": f"C {n}", "tags": ["t"]} for n in range(1000)]
    with record_statements() as statements:
        assert save(program, *rows)["created"] == 1000
    assert len(statements) < 40
