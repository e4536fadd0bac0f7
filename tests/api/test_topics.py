"""Topics and clients' choices of topics through the API."""

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.topic_choices import choose
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import MailingState, Topic, User
from tests.api.conftest import Program
from tests.support.factories import ClientFactory, MailingFactory


def add(program: Program, name: str) -> int:
    created: int = program.write("POST", "/topics", {"name": name}, 201)["id"]
    return created


def test_a_topic_is_added_read_changed_and_deleted(program: Program, session: Session) -> None:
    created = program.write("POST", "/topics", {"name": " Special  offers ", "is_opt_in": True}, 201)
    assert (created["name"], created["is_public"], created["is_opt_in"]) == ("Special offers", True, True)
    path = f"/topics/{created['id']}"
    assert program.read(path) == created
    changed = program.write("PATCH", path, {"description": " Weekly "})
    assert (changed["description"], changed["is_opt_in"]) == ("Weekly", True)
    other = add(program, "News")
    assert [row["id"] for row in program.read_all("/topics?limit=1")] == [created["id"], other]
    assert program.refuse("POST", "/topics", {"name": "news"}) == (409, "topic_exists", ["/name"])
    assert program.refuse("POST", "/topics", {"name": "a\rb"}) == (422, "invalid", ["/name"])
    assert program.send("DELETE", path).status_code == 204
    assert session.scalars(select(Topic.id)).all() == [other]


def test_a_topic_in_use_cannot_be_deleted(program: Program, user: User) -> None:
    topic_id = add(program, "News")
    MailingFactory.create(owner=user, state=MailingState.SCHEDULED, topic_id=topic_id)
    assert program.refuse("DELETE", f"/topics/{topic_id}")[:2] == (409, "topic_in_use")


def test_a_program_records_choices_but_only_the_client_can_join_again(
    app: Flask, program: Program, user: User
) -> None:
    client, topic_id = ClientFactory.create(owner=user), add(program, "News")
    path = f"/clients/{client.id}/topics/{topic_id}"
    before = program.read(path)
    assert (before["is_received"], before["is_joined"], before["changed_at"]) == (True, None, None)
    left = program.write("PUT", path, {"is_joined": False})
    assert (left["is_received"], left["is_joined"], left["is_by_owner"], left["is_locked"]) == (
        False,
        False,
        True,
        False,
    )
    assert program.write("PUT", path, {"is_joined": True})["is_received"]
    assert program.read(f"/clients/{client.id}/topics")["data"] == [program.read(path)]
    assert (program.read(f"/topics/{topic_id}")["joined"], program.read(f"/topics/{topic_id}")["left"]) == (
        1,
        0,
    )
    with app.app_context():
        choose(user.id, client.email_key, {topic_id: False}, utcnow())  # as through the link in a letter
        db.session.commit()
    assert program.read(path)["is_locked"]
    assert program.refuse("PUT", path, {"is_joined": True})[:2] == (409, "topic_left_by_client")
    assert program.read(path)["is_joined"] is False


def test_a_choice_can_depend_on_what_was_read(program: Program, user: User) -> None:
    client, topic_id = ClientFactory.create(owner=user), add(program, "News")
    path = f"/clients/{client.id}/topics/{topic_id}"
    etag = program.get(path).headers["ETag"]
    program.write("PUT", path, {"is_joined": True})
    refusal = program.refuse("PUT", path, {"is_joined": False}, headers={"If-Match": etag})
    assert refusal[:2] == (412, "changed")


def test_a_topic_of_another_owner_cannot_be_chosen(program: Program, user: User, session: Session) -> None:
    other = Topic(owner_id=ClientFactory.create().owner_id, name="News", name_key="news")
    session.add(other)
    session.flush()
    path = f"/clients/{ClientFactory.create(owner=user).id}/topics/{other.id}"
    assert program.refuse("PUT", path, {"is_joined": True})[:2] == (404, "not_found")
