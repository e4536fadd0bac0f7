"""Test that a program's letter reaches its recipient, and what is in it."""

from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import LetterContent, Mailing, Run, RunState, SuppressionReason, User
from tests.api.conftest import Program
from tests.letters.conftest import CloseDay, Send
from tests.support.factories import MessageFactory, SuppressionFactory
from tests.support.servers import SmtpServer


def read(smtp: SmtpServer) -> EmailMessage:
    (letter,) = smtp.letters
    return message_from_bytes(letter.content, policy=policy.default)


@pytest.mark.parametrize("format", ["markdown", "html", "text"])
def test_a_letter_is_sent_with_its_values(
    send: Send, program: Program, smtp: SmtpServer, work: Callable[[], None], format: str, close_day: CloseDay
) -> None:
    sent = send(format=format, name="Анна", reference="order-17")
    assert (sent["state"], sent["reference"]) == ("pending", "order-17")
    work()
    letter = read(smtp)
    assert letter["Subject"] == "Order 17"
    assert letter["To"] == "Анна <anna@example.org>"
    body = letter.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Total: 12,50 €"
    found = program.read(f"/letters/{sent['id']}")
    assert found["state"] == "sent"
    (attempt,) = found["attempts"]
    assert (attempt["code"], attempt["email"]) == (250, "anna@example.org")
    assert attempt["answer"]
    assert close_day().planned == 1


def test_a_letter_is_no_mailing(send: Send, smtp: SmtpServer, work: Callable[[], None]) -> None:
    send(format="html", body="<p>Total: {{ order.total }}</p>")
    work()
    letter = read(smtp)
    assert letter["Auto-Submitted"] == "auto-generated"
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Precedence"):
        assert letter[name] is None
    html = letter.get_body(("html",))
    assert html is not None
    assert "nsubscribe" not in smtp.letters[0].content.decode()
    assert letter["Feedback-ID"].startswith("m")


def test_a_stored_message_is_sent_as_it_was_when_the_program_asked(
    send: Send, program: Program, session: Session, user: User, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    message = MessageFactory.create(owner=user, subject="Order {{ order.id }}", body="Hello {{ name }}")
    values = {"order": {"id": 1}}
    program.write(
        "POST",
        "/letters",
        {"to": "a@example.org", "name": "Ann", "message_id": message.id, "values": values},
        201,
    )
    program.write("PATCH", f"/messages/{message.id}", {"body": "Changed"})
    assert program.send("DELETE", f"/messages/{message.id}").status_code == 204
    work()
    body = read(smtp).get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Hello Ann"


def test_letters_with_the_same_content_share_it_and_the_run_of_the_day(
    send: Send, session: Session, smtp: SmtpServer, work: Callable[[], None], close_day: CloseDay
) -> None:
    for number in range(5):
        send(to=f"c{number}@example.org", values={"order": {"id": number, "total": 1}})
    work()
    assert sorted(letter.to for letter in smtp.letters) == [f"c{n}@example.org" for n in range(5)]
    assert len(session.scalars(select(LetterContent)).all()) == 1
    assert session.execute(select(Run)).scalar_one().state is RunState.TRANSACTIONAL
    assert close_day().planned == 5
    assert session.execute(select(Mailing)).scalar_one().is_transactional


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (SuppressionReason.UNSUBSCRIBED, "sent"),
        (SuppressionReason.BOUNCED, "suppressed"),
        (SuppressionReason.COMPLAINED, "suppressed"),
        (SuppressionReason.MANUAL, "suppressed"),
    ],
)
def test_opting_out_of_mailings_does_not_stop_letters_but_bounces_do(
    send: Send,
    program: Program,
    user: User,
    smtp: SmtpServer,
    work: Callable[[], None],
    close_day: CloseDay,
    reason: SuppressionReason,
    state: str,
) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key="anna@example.org", reason=reason)
    sent = send()
    assert sent["state"] == ("pending" if state == "sent" else state)
    work()
    found = program.read(f"/letters/{sent['id']}")
    assert found["state"] == state
    assert found["suppressed_reason"] == (None if state == "sent" else reason.value)
    assert len(smtp.letters) == (state == "sent")
    assert close_day().planned == 1


def test_an_address_that_bounces_before_the_letter_is_sent_gets_nothing(
    send: Send, program: Program, user: User, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    sent = send()
    SuppressionFactory.create(
        owner_id=user.id, email_key="anna@example.org", reason=SuppressionReason.BOUNCED
    )
    work()
    assert program.read(f"/letters/{sent['id']}")["state"] == "suppressed"
    assert smtp.letters == []


LOOP = "{% for i in order.items %}{{ i.name }}{% for p in i.parts %}{{ p }}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("body", "items", "places"),
    [
        (LOOP, None, ["/values/order/items"]),
        (LOOP, 7, ["/values/order/items"]),
        (LOOP, [], []),
        (LOOP, [{"name": "a", "parts": [1]}, {"name": "b", "parts": []}], []),
        (LOOP, [{"name": "a", "parts": ["x", ""]}, {"parts": []}], ["0/parts/1", "1/name"]),
        (LOOP, [{"name": "a"}, {}], ["0/parts", "1/name", "1/parts"]),
        ("{% for i in order.items %}{{ i.name }}{% else %}Nothing{% endfor %}", None, []),
        ("{% if order.items %}" + LOOP + "{% endif %}", None, []),
        ("{% if order.items.size > 0 %}" + LOOP + "{% endif %}", None, []),
        ("{% for i in order.items %}{{ i.name | default: 'x' }}{% endfor %}", [{}], []),
        ("{% for i in order.items %}{% if i.name %}{{ i.name }}{% endif %}{% endfor %}", [{}], []),
        ("{% for i in order.items limit: 1 %}{{ i.name }}{% endfor %}", [{"name": "a"}, {}], []),
        ("{% for i in (1..3) %}{{ i }}{{ forloop.index }}{% endfor %}", None, []),
        ("{{ order.items[1].name }} {{ order.items.first.name }}", [{"name": "a"}], ["1/name"]),
        ("{{ order.items.size }} {{ order.items.last.name }}", [{"name": "a"}], []),
        ("{% assign i = order.items | first %}{{ i.name }}", [{}], []),
        ("{% for i in order.items %}{{ i['a/b~'] }}{% endfor %}", [{}], ["0/a~1b~0"]),
    ],
)
def test_missing_values_of_lists_are_refused_with_their_places(
    send: Send, body: str, items: object, places: list[str]
) -> None:
    order = {"id": 1} | ({} if items is None else {"items": items})
    problem = send(422 if places else 201, body=body, values={"order": order})
    if places:
        full = [place if place.startswith("/") else f"/values/order/items/{place}" for place in places]
        assert [error["pointer"] for error in problem["errors"]] == full


@pytest.mark.parametrize(
    ("changes", "code", "places"),
    [
        ({"to": "anna"}, "address_no_at_sign", ["/to"]),
        ({"values": {}}, "missing_values", ["/values/order/id", "/values/order/total"]),
        ({"subject": "x {{ name }}"}, "missing_values", ["/name"]),
        ({"subject": "x {{ client.name }}"}, "missing_values", ["/name"]),
        ({"values": {"order": {"id": 1, "total": 2}, "email": "x"}}, "invalid", ["/values/email"]),
        ({"body": "{% if %}"}, "invalid", ["/body"]),
        ({"body": "{{ unsubscribe_url }}"}, "letter_has_list_links", ["/body"]),
        ({"message_id": 1}, "letter_content", ["/message_id"]),
        ({"sender_id": 1}, "letter_sender", ["/sender_id"]),
        ({"values": {"x": "y" * 100_001}}, "letter_values_too_large", ["/values"]),
        ({"unknown": 1}, "invalid", ["/unknown"]),
    ],
)
def test_a_wrong_letter_is_refused_with_its_place(
    send: Send, program: Program, session: Session, changes: dict[str, object], code: str, places: list[str]
) -> None:
    problem = send(422, **changes)
    assert problem["code"] == code
    assert [error["pointer"] for error in problem["errors"]] == places
    assert session.scalars(select(Mailing)).all() == []


def test_values_with_a_fallback_may_be_missing(
    send: Send, smtp: SmtpServer, work: Callable[[], None], app: Flask
) -> None:
    body = "{{ nick | default: 'you' }} {% if note %}{{ note }}{% endif %} "
    body += "{% for i in items %}{{ i.n }};{% endfor %}"
    send(subject="Hi", body=body, format="text", values={"items": [{"n": 1}, {"n": 2}]})
    work()
    content = read(smtp).get_body(("plain",))
    assert content is not None
    assert content.get_content().split() == ["you", "1;2;"]
