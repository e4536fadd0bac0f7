"""Returned mail through the API."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Bounce, BounceKind, Proof, Suppression, User
from tests.api.conftest import MakeProgram, Program
from tests.support.factories import ClientFactory


def add(session: Session, owner: User, email: str, kind: BounceKind, proof: Proof) -> int:
    values = {"status": "5.1.1", "diagnostic": "550 No such user", "remote_mta": "mx.example"}
    bounce = Bounce(
        owner_id=owner.id, email_key=email, kind=kind, proof=proof, received_at=utcnow(), **values
    )
    session.add(bounce)
    session.flush()
    return bounce.id


def test_returned_mail_is_listed_with_the_servers_reply(
    program: Program, session: Session, user: User
) -> None:
    client = ClientFactory.create(owner=user)
    first = add(session, user, client.email_key, BounceKind.HARD, Proof.SIGNED)
    second = add(session, user, "gone@example.org", BounceKind.SOFT, Proof.ADDRESS)
    rows = program.read_all("/returned?limit=1")
    assert [(row["id"], row["client_id"]) for row in rows] == [(first, client.id), (second, None)]
    assert (rows[0]["kind"], rows[0]["status"], rows[0]["answer"], rows[0]["server"]) == (
        *("hard", "5.1.1", "550 No such user", "mx.example"),
    )
    assert program.read(f"/returned/{first}") == rows[0]
    assert program.read_all("/returned?unclear=true") == rows[1:]
    assert program.read_all("/returned?kind=hard") == rows[:1]
    assert program.read_all("/returned?q=GONE") == rows[1:]


def test_unclear_returned_mail_is_decided(
    program: Program, make_program: MakeProgram, session: Session, user: User
) -> None:
    confirmed = add(session, user, "a@example.org", BounceKind.HARD, Proof.ADDRESS)
    dismissed = add(session, user, "b@example.org", BounceKind.HARD, Proof.ADDRESS)
    reader = make_program(user, scopes=["reports:read"])
    assert reader.refuse("POST", f"/returned/{confirmed}/confirm")[:2] == (403, "scope_missing")
    for _ in range(2):  # repeating a decision is harmless
        assert program.write("POST", f"/returned/{confirmed}/confirm")["proof"] == "person"
        assert program.write("POST", f"/returned/{dismissed}/dismiss")["proof"] == "dismissed"
    assert session.scalars(select(Suppression.email_key)).all() == ["a@example.org"]
