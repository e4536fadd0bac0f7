"""Suppressions through the API."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Suppression, SuppressionReason, User
from tests.api.conftest import Program
from tests.support.factories import ClientFactory, SuppressionFactory


def test_an_address_is_suppressed_and_released(program: Program, session: Session, user: User) -> None:
    client = ClientFactory.create(owner=user)
    created = program.post("/suppressions", {"email": client.email.upper()})
    assert created.status_code == 201
    assert created.json is not None
    path = created.headers["Location"].removeprefix("/api/v1")
    assert program.read(path) == created.json
    assert (created.json["email"], created.json["reason"]) == (client.email_key, "manual")
    assert program.read(f"/clients/{client.id}")["suppressed"] == "manual"
    assert program.write("POST", "/suppressions", {"email": client.email}) == created.json
    assert program.send("DELETE", path).status_code == 204
    assert session.scalars(select(Suppression)).all() == []


@pytest.mark.parametrize("reason", [reason for reason in SuppressionReason if reason != "manual"])
def test_only_manual_suppressions_can_be_lifted(
    program: Program, session: Session, user: User, reason: SuppressionReason
) -> None:
    found = SuppressionFactory.create(owner_id=user.id, email_key="a@example.org", reason=reason)
    refusal = program.refuse("DELETE", f"/suppressions/{found.id}")
    assert refusal[:2] == (409, "suppression_not_manual")
    assert program.write("POST", "/suppressions", {"email": "a@example.org"})["reason"] == reason
    assert session.scalars(select(Suppression.reason)).all() == [reason]


def test_suppressions_are_filtered(program: Program, user: User) -> None:
    for name, reason in (("b", "bounced"), ("a", "manual"), ("c", "manual")):
        key = f"{name}@example.org"
        SuppressionFactory.create(owner_id=user.id, email_key=key, reason=SuppressionReason(reason))
    assert [row["email"][0] for row in program.read_all("/suppressions?limit=2")] == ["a", "b", "c"]
    assert [row["email"][0] for row in program.read_all("/suppressions?reason=bounced")] == ["b"]
    assert [row["email"][0] for row in program.read_all("/suppressions?email=C@example.org")] == ["c"]
    assert program.read_all("/suppressions?q=zzz") == []
    assert program.refuse("POST", "/suppressions", {"email": "x"})[2] == ["/email"]
