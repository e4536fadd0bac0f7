"""Test letters that unsubscribe: those that mail programs write, and forged ones."""

from base64 import b64encode
from email import message_from_bytes
from email.message import EmailMessage
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.rendering.letter import Content, LetterTemplate, Recipient, Sender
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.extensions import db
from skymailing.models import Consent, Delivery, MessageFormat, ReturnedState, TopicChoice, User
from skymailing.tokens import unsubscribe_token
from skymailing.web.urls import unsubscribe_url
from tests.returns.letters import make_status, quote_headers
from tests.returns.scenes import USER_UNKNOWN, Desk
from tests.support.factories import ClientFactory, UserFactory
from tests.support.signup_factories import TopicFactory

pytestmark = pytest.mark.one_engine


@pytest.fixture
def desk(app: Flask, session: Session, user: User) -> Desk:
    return Desk(app, session, user)


def find_subject(desk: Desk, delivery: Delivery) -> str:
    """Return the subject that the delivery's letter asks a mail program to write."""
    sender = Sender("Sky", "news@sky.example", "", desk.user.id, "leave@sky.example")
    with desk.app.app_context():
        content = Content("Hello", MessageFormat.TEXT, "x {{ unsubscribe_url }}")
        template = LetterTemplate(content, sender, RunIdentity(uuid4()), "mailing-1.sky.example")
        url = unsubscribe_url(unsubscribe_token(desk.user.id, delivery.email_key))
        raw = template.render(delivery.id, Recipient(delivery.email, "", {}), url, utcnow())
    header = str(message_from_bytes(raw)["List-Unsubscribe"])
    mailto = next(part for part in header.replace("\n", " ").split("<") if part.startswith("mailto:"))
    return parse_qs(urlsplit(mailto.partition(">")[0]).query)["subject"][0]


def write(subject: str, **headers: str) -> bytes:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "ann@example.org", "leave@sky.example", subject
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content("This message was generated automatically.")
    return letter.as_bytes()


def test_a_letter_with_the_subject_of_our_header_unsubscribes_its_client(desk: Desk) -> None:
    long_name = ClientFactory.create(owner=desk.user, email=f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example")
    deliveries = [desk.send(), desk.send(long_name), desk.send(), desk.send()]
    subjects = [find_subject(desk, delivery) for delivery in deliveries]
    letters = [
        write(subjects[0]),
        write(subjects[1]),  # so long that the program folds it
        write(f"Re: {subjects[2]}", Auto_Submitted="auto-generated", Precedence="bulk"),
        b"Subject: =?utf-8?b?" + b64encode(subjects[3].encode()) + b"?=\n\n",
    ]

    for raw in [*letters, letters[0]]:
        assert desk.ingest(raw) is ReturnedState.UNDERSTOOD

    assert desk.suppressions() == {delivery.email_key: "unsubscribed" for delivery in deliveries}
    with desk.app.app_context():
        kinds = set(db.session.execute(select(Consent.email_key, Consent.kind)).tuples())
    assert kinds == {(delivery.email_key, "withdrawn") for delivery in deliveries}
    assert (desk.bounces(), deliveries[0].run.returned) == ([], 0)


def test_a_letter_about_a_topic_unsubscribes_only_from_the_topic(desk: Desk, session: Session) -> None:
    """If the topic has been deleted, it unsubscribes from everything."""
    topic = TopicFactory.create(owner=desk.user)
    delivery, other = desk.send(), desk.send()
    with desk.app.app_context():
        tokens = [
            unsubscribe_token(desk.user.id, delivery.email_key, topic.id),
            unsubscribe_token(desk.user.id, other.email_key, topic.id + 1),
        ]
    for token in [*tokens, tokens[0]]:
        assert desk.ingest(write(f"unsubscribe {token}")) is ReturnedState.UNDERSTOOD
    opt_outs = session.scalars(select(TopicChoice).where(~TopicChoice.is_joined)).all()
    assert [(choice.topic_id, choice.email_key) for choice in opt_outs] == [(topic.id, delivery.email_key)]
    assert desk.suppressions() == {other.email_key: "unsubscribed"}


def test_a_letter_without_our_token_unsubscribes_no_one(desk: Desk) -> None:
    delivery = desk.send()
    subject = find_subject(desk, delivery)
    damaged = subject[:30] + ("A" if subject[30] != "A" else "B") + subject[31:]
    stranger = UserFactory.create()
    with desk.app.app_context():
        deleted = unsubscribe_token(stranger.id + 10_000, delivery.email_key)
    for text in (
        damaged,
        f"unsubscribe {deleted}",
        "unsubscribe",
        f"unsubscribe {delivery.email}",
        subject * 9,
    ):
        assert desk.ingest(write(text)) is ReturnedState.UNCLEAR, text
    # A server returns a letter whose subject it quotes: it is a bounce.
    returned = make_status("leave@sky.example", "5.1.1", USER_UNKNOWN, quoted=quote_headers() + subject)
    assert desk.ingest(returned) is ReturnedState.UNCLEAR
    assert desk.suppressions() == {}


def test_complaints_are_requested_where_the_domain_allows_it() -> None:
    def find_header(address: str, complaints: str) -> str | None:
        sender = Sender("Sky", address, "", 1, "", complaints)
        content = Content("Hello", MessageFormat.TEXT, "x {{ unsubscribe_url }}")
        template = LetterTemplate(content, sender, RunIdentity(uuid4()), "mailing-1.sky.example")
        raw = template.render(1, Recipient("ann@example.org", "", {}), "https://sky.example/u/t", utcnow())
        return message_from_bytes(raw)["CFBL-Address"]

    expected = "fbl@sky.example; report=arf"
    assert find_header("news@sky.example", "fbl@sky.example") == expected
    assert find_header("news@mail.sky.example", "fbl@sky.example") == expected
    assert find_header("news@shop.example", "fbl@sky.example") is None
    assert find_header("news@notsky.example", "fbl@sky.example") is None
    assert find_header("news@sky.example", "") is None
