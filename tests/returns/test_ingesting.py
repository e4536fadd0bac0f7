"""Test how returned mail is ingested: whom it is about, and what real, forged and repeated letters change."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Bounce, DeliveryState, OutboxLetter, Proof, ReturnedLetter, ReturnedState, User
from skymailing.returns import consequences
from skymailing.returns.arrivals import Arrival
from skymailing.returns.services import ingest_letters
from tests.returns.letters import ENGLISH_VACATION, make_complaint, make_status, quote_headers
from tests.returns.scenes import USER_UNKNOWN, Desk
from tests.support.factories import ClientFactory, UserFactory

DATA = Path(__file__).parents[1] / "data"
FULL = "552 5.2.2 mailbox full"
UNDERSTOOD, UNCLEAR, IGNORED = ReturnedState.UNDERSTOOD, ReturnedState.UNCLEAR, ReturnedState.IGNORED


@pytest.fixture
def desk(app: Flask, session: Session, user: User) -> Desk:
    return Desk(app, session, user)


def test_a_dead_address_is_suppressed_once_and_the_ledger_is_unchanged(desk: Desk) -> None:
    delivery = desk.send()
    letter = desk.bounce(delivery)

    assert desk.ingest(letter) is UNDERSTOOD
    # Piped again after a crash of the mail server, and reported by a second server.
    assert desk.ingest(b"From MAILER-DAEMON Sat Nov 28 12:00:00 2026\n" + letter) is UNDERSTOOD
    assert desk.ingest(letter.replace(b"mx.example.org", b"mx2.example.org")) is UNDERSTOOD

    assert desk.suppressions() == {delivery.email_key: "bounced"}
    assert desk.bounces() == [("hard", "signed")]
    assert (delivery.run.returned, delivery.run.complaints) == (1, 0)
    assert delivery.state is DeliveryState.SENT
    bounce = desk.session.scalars(select(Bounce)).one()
    assert (bounce.owner_id, bounce.run_id) == (desk.user.id, delivery.run_id)
    assert (bounce.diagnostic, bounce.remote_mta) == (USER_UNKNOWN, "mx.example.org")
    assert len(desk.session.scalars(select(ReturnedLetter)).all()) == 2


def test_a_complaint_without_a_recipient_suppresses_by_message_id_or_by_link(desk: Desk) -> None:
    first, second = desk.send(), desk.send()
    by_link = quote_headers(link=desk.quote(second).split("List-Unsubscribe: ")[1].split("\n")[0])

    assert desk.ingest(desk.complain(first)) is UNDERSTOOD
    assert desk.ingest(make_complaint("", quoted=by_link)) is UNDERSTOOD

    assert desk.suppressions() == {first.email_key: "complained", second.email_key: "complained"}
    assert (first.run.complaints, second.run.complaints, second.run.returned) == (1, 1, 0)
    # The letter also comes back: one letter, counted in both numbers.
    desk.ingest(desk.bounce(first))
    assert (first.run.complaints, first.run.returned) == (1, 1)


def test_a_letter_that_anyone_could_have_written_suppresses_no_one(desk: Desk) -> None:
    delivery = desk.send()
    forged = make_status(delivery.email, "5.1.1", USER_UNKNOWN)

    assert desk.ingest(forged) is UNCLEAR
    assert desk.ingest(make_complaint(delivery.email)) is UNCLEAR
    assert (desk.suppressions(), delivery.run.returned) == ({}, 0)
    assert desk.bounces() == [("hard", "address"), ("complaint", "address")]
    assert {letter.owner_id for letter in desk.session.scalars(select(ReturnedLetter))} == {desk.user.id}

    assert desk.ingest(desk.bounce(delivery)) is UNDERSTOOD  # now with proof
    assert desk.suppressions() == {delivery.email_key: "bounced"}
    assert desk.bounces() == [("hard", "signed"), ("complaint", "address")]


def test_a_report_about_someone_else_changes_nothing(desk: Desk) -> None:
    delivery, other = desk.send(), desk.send()
    stranger = desk.send(ClientFactory.create(owner=UserFactory.create()))

    for to in (other.email, stranger.email, "unknown@example.org"):
        assert desk.ingest(desk.bounce(delivery, to=to)) is UNCLEAR
        assert desk.ingest(desk.complain(delivery, to=to)) is UNCLEAR

    assert desk.suppressions() == {}
    assert {proof for _, proof in desk.bounces()} == {"address"}


def test_the_message_id_of_a_deleted_delivery_is_not_trusted(desk: Desk) -> None:
    delivery = desk.send()
    quoted = desk.quote(delivery).replace("List-Unsubscribe", "X-Removed")
    letter = make_status(delivery.email, "5.1.1", USER_UNKNOWN, quoted=quoted)
    # A restored database gives the ID to a delivery of another run.
    delivery.run.uuid = type(delivery.run.uuid)(int=7)
    desk.session.commit()

    assert desk.ingest(letter) is UNCLEAR
    assert desk.suppressions() == {}


@pytest.mark.parametrize("reply", ["550 5.7.1 Message rejected as spam", "554 5.7.1 Relay access denied"])
def test_a_refusal_because_of_the_letter_does_not_count_against_the_client(desk: Desk, reply: str) -> None:
    client = ClientFactory.create(owner=desk.user)
    for _ in range(4):
        delivery = desk.send(client)
        assert desk.ingest(desk.bounce(delivery, reply)) is UNDERSTOOD

    assert desk.suppressions() == {}
    assert delivery.run.returned == 1


def test_a_full_mailbox_is_suppressed_after_three_runs_in_a_row(desk: Desk) -> None:
    client = ClientFactory.create(owner=desk.user)
    deliveries = [desk.send(client, days_ago=days) for days in (30, 20, 10)]

    for delivery in deliveries[:2]:
        for server in ("mx1", "mx2"):  # the same letter twice is one run
            desk.ingest(desk.bounce(delivery, f"{FULL} {server}"))
    assert desk.suppressions() == {}
    desk.send(client)  # may still come back
    desk.ingest(desk.bounce(deliveries[2], FULL))

    assert desk.suppressions() == {client.email_key: "bounced"}


def test_a_letter_that_arrives_forgives_earlier_soft_bounces(desk: Desk) -> None:
    client = ClientFactory.create(owner=desk.user)
    early = [desk.send(client, days_ago=days) for days in (40, 35)]
    desk.send(client, days_ago=20)  # arrived
    late = [desk.send(client, days_ago=days) for days in (10, 6)]
    old = ClientFactory.create(owner=desk.user)
    too_old = [desk.send(old, days_ago=days) for days in (90, 80, 1)]

    for delivery in early + late + too_old:
        assert desk.ingest(desk.bounce(delivery, FULL)) is UNDERSTOOD

    assert desk.suppressions() == {}


def test_warnings_and_automatic_replies_are_ignored_and_questions_are_kept(desk: Desk) -> None:
    delivery = desk.send()
    warning = make_status(delivery.email, "4.4.1", "timed out", action="delayed", quoted=desk.quote(delivery))

    assert desk.ingest(warning) is IGNORED
    assert desk.ingest(ENGLISH_VACATION) is IGNORED
    assert desk.ingest(b"From: ann@example.org\n\nCall me \x00\xff") is UNCLEAR
    assert desk.ingest(b"") is UNCLEAR

    assert (desk.bounces(), delivery.run.returned) == ([], 0)
    assert len(desk.session.scalars(select(ReturnedLetter)).all()) == 4


def test_returned_mail_is_never_answered(desk: Desk) -> None:
    """Otherwise two automatic systems could write to each other forever."""
    delivery = desk.send()
    notices = [path.read_bytes() for path in sorted((DATA / "notices").iterdir())]
    letters = [desk.bounce(delivery), desk.complain(delivery), ENGLISH_VACATION, b"Call me", *notices]
    for letter in letters:
        desk.ingest(letter)
    assert len(notices) > 5
    assert desk.session.scalars(select(OutboxLetter)).all() == []


def test_after_a_crash_before_the_commit_a_letter_is_ingested_again(app: Flask, desk: Desk) -> None:
    delivery = desk.send()
    with app.app_context():
        ingest_letters([Arrival.read(desk.bounce(delivery), "pipe")], utcnow())
        db.session.rollback()
    assert desk.session.scalars(select(ReturnedLetter)).all() == []

    assert desk.ingest(desk.bounce(delivery)) is UNDERSTOOD
    assert desk.suppressions() == {delivery.email_key: "bounced"}
    assert delivery.run.returned == 1


def test_a_large_letter_is_stored_in_part(desk: Desk) -> None:
    delivery = desk.send()

    assert desk.ingest(desk.bounce(delivery) + b"x" * 3_000_000) is UNDERSTOOD

    letter = desk.session.scalars(select(ReturnedLetter)).one()
    assert len(letter.raw) == 64 * 1024
    assert desk.suppressions() == {delivery.email_key: "bounced"}


def test_a_person_decides_about_unclear_letters(app: Flask, desk: Desk) -> None:
    dead, alive = desk.send(), desk.send()
    for delivery in (dead, alive):
        desk.ingest(make_status(delivery.email, "5.1.1", USER_UNKNOWN))

    with app.app_context():
        first, second = db.session.scalars(select(Bounce).order_by(Bounce.id))
        for _ in range(2):  # pressed twice
            consequences.confirm(first, utcnow())
            consequences.dismiss(second)
        consequences.confirm(second, utcnow())
        db.session.commit()
    desk.session.expire_all()

    assert desk.suppressions() == {dead.email_key: "bounced"}
    assert desk.bounces() == [("hard", "person"), ("hard", "dismissed")]
    assert (dead.run.returned, alive.run.returned) == (1, 0)
    assert {letter.state for letter in desk.session.scalars(select(ReturnedLetter))} == {UNDERSTOOD}

    # The dismissed report turns out to be true.
    assert desk.ingest(desk.bounce(alive)) is UNDERSTOOD
    assert desk.bounces() == [("hard", "person"), ("hard", "signed")]
    assert (alive.email_key in desk.suppressions(), alive.run.returned) == (True, 1)


@pytest.mark.only_on("postgresql", reason="on SQLite, transactions that write wait for each other")
def test_a_decision_in_two_tabs_counts_once(app: Flask, desk: Desk) -> None:
    delivery = desk.send()
    desk.ingest(make_status(delivery.email, "5.1.1", USER_UNKNOWN))
    with app.app_context():
        first = db.session.scalars(select(Bounce)).one()
        # The other tab has decided, and this one has not read the decision.
        with db.engine.connect() as other:
            other.execute(update(Bounce).values(proof=Proof.DISMISSED))
            other.commit()
        consequences.confirm(first, utcnow())
        db.session.commit()
    assert (desk.bounces(), desk.suppressions()) == ([("hard", "dismissed")], {})


def test_nul_characters_do_not_stop_the_queue(desk: Desk) -> None:
    """A letter that raises an error would be retried for days, and block the rest of a mailbox."""
    report = b"""From: MAILER-DAEMON@relay.example
Subject: failure notice

Hi. This is the qmail-send program at relay.example.
I'm afraid I wasn't able to deliver your message to the following addresses.

<an\0na@example.com>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

"""
    assert desk.ingest(report) is UNCLEAR
