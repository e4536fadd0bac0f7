"""Test that a returned letter's Message-ID identifies its delivery, and that no one can forge one."""

import uuid

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import hints
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.rendering.message_ids import LetterName, RunIdentity, message_id_key, read_message_id
from skymailing.models import Delivery, User
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import get_only_run
from tests.support.factories import create_clients, due_mailing
from tests.support.servers import SmtpServer

KEY = b"k" * 32
IDENTITY = RunIdentity(uuid.UUID("12345678-1234-5678-1234-567812345678"), KEY)


@pytest.mark.parametrize("delivery_id", [0, 42, 2**53])
def test_a_message_id_identifies_its_delivery_and_run(delivery_id: int) -> None:
    text = IDENTITY.make_message_id(delivery_id, "sky.example")

    assert text == IDENTITY.make_message_id(delivery_id, "sky.example")
    assert len(text.partition("@")[0]) <= 64
    for copied in (text, text.upper(), f" {text} "):
        assert read_message_id(copied, KEY) == LetterName(delivery_id, IDENTITY.mark)


def test_a_forged_message_id_identifies_nothing() -> None:
    text = IDENTITY.make_message_id(42, "sky.example")
    other = IDENTITY.make_message_id(43, "sky.example")

    assert read_message_id(text, b"x" * 32) is None
    assert read_message_id(text[:24] + other[24:], KEY) is None
    for position in range(1, 41):
        changed = "1" if text[position] == "0" else "0"
        assert read_message_id(text[:position] + changed + text[position + 1 :], KEY) is None
    for malformed in ("", "<>", "<42@sky.example>", text[:30], "<" + "é" * 40 + "@sky.example>"):
        assert read_message_id(malformed, KEY) is None


def test_letters_without_a_key_keep_the_form_of_earlier_versions() -> None:
    run = uuid.uuid4()

    text = RunIdentity(run).make_message_id(42, "sky.example")

    assert text == f"<{uuid.uuid5(run, '42')}@sky.example>"
    assert read_message_id(text, KEY) is None


@pytest.mark.one_engine
def test_a_sent_letter_identifies_its_delivery(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    create_clients(user, 3)

    start(due_mailing(user))

    run = get_only_run(session)
    with app.app_context():
        key = message_id_key()
    names = {letter.to: read_message_id(letter.parsed["Message-ID"], key) for letter in smtp.letters}
    assert names == {
        delivery.email: LetterName(delivery.id, RunIdentity(run.uuid).mark)
        for delivery in session.scalars(select(Delivery))
    }


@pytest.mark.one_engine
def test_letters_of_a_run_that_an_earlier_version_planned_keep_their_message_ids(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 1)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
    run = get_only_run(session)
    run.has_signed_ids = False  # the database's default, as for runs of an earlier version
    session.commit()

    with app.app_context():
        assert run_id is not None
        hints.hint_run(run_id)
    work()

    delivery_id = session.scalars(select(Delivery.id)).one()
    assert smtp.letters[0].parsed["Message-ID"] == f"<{uuid.uuid5(run.uuid, str(delivery_id))}@sky.example>"
