"""Test that imports add tags to clients, with one statement for many rows."""

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from skymailing.models import Client, ClientImport, ImportRejection, Tag, User
from tests.clients.conftest import Import
from tests.clients.test_tags import add_tags, read_tags
from tests.support.factories import UserFactory
from tests.support.imports import import_file


def test_the_tags_of_a_file_are_added_with_one_statement(run: Import, user: User, session: Session) -> None:
    add_tags(session, user, {"Old": "a", "vip": ""})
    add_tags(session, UserFactory.create(), {"vip": "s"})
    session.commit()
    rows = ["a@x.com,VIP; wholesale", "B@x.com,new", 'b@X.com,"NEW, other"', "c@x.com,", "d@x.com,|"]
    rows += [f"n{number}@x.com,new" for number in range(50)]
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        run("email,tags\n" + "\n".join(rows))
    finally:
        event.remove(Engine, "before_cursor_execute", record)
    tags = read_tags(session)
    assert tags["a@x.com"] == {"Old", "vip", "wholesale"}
    assert {name.lower() for name in tags["B@x.com"]} == {"new", "other"}
    assert tags["s@x.com"] == {"vip"}
    assert tags["n49@x.com"] == tags["n0@x.com"]
    assert not {"c@x.com", "d@x.com"} & tags.keys()
    assert len([s for s in statements if s.startswith("INSERT INTO client_tags")]) == 1
    assert all("tags" not in values for values in session.scalars(select(Client.attributes)))


def test_rows_with_unusable_tags_are_rejected(run: Import, user: User, session: Session) -> None:
    session.add_all(Tag(owner_id=user.id, name=f"t{n}", name_key=f"t{n}") for n in range(999))
    session.commit()
    many = ";".join(f"m{n}" for n in range(101))
    rows = ["a@x.com,T5;last", f"b@x.com,{'x' * 101}", f"c@x.com,{many}", "d@x.com,one more", "e@x.com,LAST"]
    import_ = run("email,tags\n" + "\n".join(rows))
    assert (import_.created, import_.rejected) == (2, 3)
    assert read_tags(session) == {"a@x.com": {"t5", "last"}, "e@x.com": {"last"}}
    reasons = session.scalars(select(ImportRejection.reason).order_by(ImportRejection.line)).all()
    assert reasons == ["tag_too_long", "too_many_tags", "tag_limit"]


def test_all_clients_of_a_file_can_be_tagged(
    browser: FlaskClient, work: Any, user: User, session: Session
) -> None:
    content = b"email,tags\na@x.com,vip\nb@x.com,\n"
    location = import_file(browser, content, tags="fair 2026, VIP").location
    work()
    session.expire_all()
    assert session.scalars(select(ClientImport.created)).one() == 2
    tags = read_tags(session)
    assert {name.lower() for name in tags["a@x.com"]} == {"vip", "fair 2026"}
    assert {name.lower() for name in tags["b@x.com"]} == {"vip", "fair 2026"}
    assert location
    page = import_file(browser, content, tags="x" * 101)
    assert "up to 100 characters" in page.text
