"""Test texts that only clients with a tag or in a segment get."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, insert, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from skymailing.delivery.composition.conditions import MEMBERSHIPS
from skymailing.models import Client, MailingState, Message, Segment, Tag, User, client_tags
from tests.delivery.composition.designs import make_design
from tests.delivery.composition.letters import compose
from tests.delivery.conftest import Start
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import ClientFactory, MessageFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer


def make_block(text: str, field: str, op: str, value: str) -> dict[str, Any]:
    when = {"field": field, "op": op, "value": value}
    return {"type": "heading", "text": text, "visibility": {"when": when}}


def add_tag(session: Session, user: User, *clients: Client) -> Tag:
    tag = Tag(owner_id=user.id, name="VIP's", name_key="vip's")
    session.add(tag)
    session.flush()
    rows = [{"tag_id": tag.id, "client_id": client.id} for client in clients]
    if rows:
        session.execute(insert(client_tags), rows)
    session.commit()
    return tag


def add_segment(session: Session, user: User) -> Segment:
    conditions = {"field": "email", "op": "contains", "value": "inside"}
    segment = Segment(owner_id=user.id, name="Inside", conditions=conditions)
    session.add(segment)
    session.commit()
    return segment


def make_message(user: User, *blocks: dict[str, Any], **values: Any) -> Message:
    design = make_design(*blocks)
    composed = {"format": "html", "body": compose(design), "language": "en"}
    return MessageFactory.create(owner=user, **composed | values)


def test_each_client_gets_the_blocks_for_their_tags_and_segments(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    clients = {
        name: ClientFactory.create(owner=user, email=f"{name}@example.org")
        for name in ("inside-tagged", "inside-plain", "tagged", "plain")
    }
    add_tag(session, user, clients["inside-tagged"], clients["tagged"])
    segment = str(add_segment(session, user).id)
    message = make_message(
        user,
        make_block("With tag", "tag", "in", "VIP's"),
        make_block("Without tag", "tag", "not_in", "vip's"),
        make_block("In segment", "segment", "in", segment),
        make_block("Outside", "segment", "not_in", segment),
    )

    start(due_mailing(user, message=message))

    check_ledger(session, get_only_run(session), smtp.letters)
    shown = {letter.to.partition("@")[0]: letter.html + letter.text for letter in smtp.letters}
    found = {
        name: {text for text in ("With tag", "Without tag", "In segment", "Outside") if f">{text}<" in html}
        for name, html in shown.items()
    }
    assert found == {
        "inside-tagged": {"With tag", "In segment"},
        "inside-plain": {"Without tag", "In segment"},
        "tagged": {"With tag", "Outside"},
        "plain": {"Without tag", "Outside"},
    }


@pytest.mark.one_engine
def test_a_window_of_letters_needs_one_query_for_all_conditions(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    clients = create_clients(user, 30)
    add_tag(session, user, *clients[:10])
    message = make_message(user, make_block("With tag", "tag", "in", "VIP's"))
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "client_tags" in statement:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        start(due_mailing(user, message=message))
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert sum("With tag</h1>" in letter.html for letter in smtp.letters) == 10
    assert 0 < len(statements) < 10


def test_a_deleted_tag_pauses_the_mailing_before_its_first_letter(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    create_clients(user, 3)
    mailing = due_mailing(user, message=make_message(user, make_block("Offer", "tag", "not_in", "gone")))

    start(mailing)

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert "“gone”" in mailing.state_reason
    assert count_states(session, get_only_run(session)) == {"pending": 3}
    assert smtp.letters == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("tag", "gone", "A condition uses the tag “gone”, which does not exist"),
        ("segment", "999", "A condition uses a segment that does not exist"),
        ("segment", "x", "A condition uses a segment that does not exist"),
    ],
)
def test_a_message_with_an_unknown_tag_or_segment_is_refused(
    browser: FlaskClient, session: Session, field: str, value: str, error: str
) -> None:
    source = json.dumps(make_design(make_block("Offer", field, "in", value)))
    form = {"subject": "News", "source_format": "blocks", "source": source}
    assert error in browser.post("/messages/new", data=form).text
    assert session.scalars(select(Message)).all() == []
    assert error in browser.post("/messages/insight", data=form).json["problem"]["text"]  # type: ignore[index]


@pytest.mark.one_engine
def test_previews_know_the_clients_tags(browser: FlaskClient, session: Session, user: User) -> None:
    tagged, plain = (ClientFactory.create(owner=user) for _ in range(2))
    add_tag(session, user, tagged)
    message = make_message(user, make_block("Offer", "tag", "in", "VIP's"))
    for client, is_shown in ((tagged, True), (plain, False)):
        page = browser.get(f"/messages/{message.id}/preview?part=html&client={client.id}").text
        assert (">Offer<" in page) is is_shown


@pytest.mark.one_engine
def test_a_mailing_cannot_be_set_up_with_a_deleted_tag(
    browser: FlaskClient, session: Session, user: User
) -> None:
    ClientFactory.create(owner=user)
    tag = add_tag(session, user)
    message = make_message(user, make_block("Offer", "tag", "in", "VIP's"))
    form = {"name": "Spring", "message": str(message.id), "audience": "all"}
    error = "This message has a condition on a tag or segment that does not exist."
    assert error not in browser.post("/mailings/new", data=form).text
    session.delete(session.get(Tag, tag.id))
    session.commit()
    assert error in browser.post("/mailings/new", data=form).text


@pytest.mark.one_engine
@pytest.mark.parametrize("op", ["equals", "is_set"])
def test_tags_have_their_own_operators(browser: FlaskClient, op: str) -> None:
    source = json.dumps(make_design(make_block("Offer", "tag", op, "x")))
    form = {"subject": "News", "source_format": "blocks", "source": source}
    assert f"Use one of: {', '.join(MEMBERSHIPS)}." in browser.post("/messages/new", data=form).text
