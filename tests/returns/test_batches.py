"""Test that several letters, as from a mailbox or a webhook, are ingested in one transaction."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Bounce, ReturnedLetter, ReturnedState, UsageHour, UsageKind, User
from skymailing.quotas import counting
from skymailing.returns import tasks
from skymailing.returns.arrivals import Arrival
from skymailing.returns.services import StoredReturn, ingest_letters
from skymailing.returns.tasks import ingest_batches
from tests.returns.letters import ENGLISH_VACATION, make_complaint, make_status, quote_headers
from tests.returns.scenes import USER_UNKNOWN, Desk
from tests.support.factories import ClientFactory, UserFactory
from tests.support.statements import record_statements

FULL = "552 5.2.2 mailbox full"
UNDERSTOOD, UNCLEAR, IGNORED = ReturnedState.UNDERSTOOD, ReturnedState.UNCLEAR, ReturnedState.IGNORED


@pytest.fixture
def desk(app: Flask, session: Session, user: User) -> Desk:
    return Desk(app, session, user)


def count_usage(desk: Desk) -> dict[tuple[int, str], int]:
    """Return what reputations count, by owner and kind."""
    total = func.sum(UsageHour.count)
    grouped = select(UsageHour.owner_id, UsageHour.kind, total).group_by(UsageHour.owner_id, UsageHour.kind)
    return {(owner_id, kind): count for owner_id, kind, count in desk.session.execute(grouped).tuples()}


def test_letters_ingested_together_have_the_same_effect_as_one_by_one(desk: Desk) -> None:
    stranger = UserFactory.create()
    dead, angry, forged = (desk.send() for _ in range(3))
    other = desk.send(ClientFactory.create(owner=stranger))
    client = ClientFactory.create(owner=desk.user)
    full = [desk.send(client, days_ago=days) for days in (30, 20, 10)]
    again = desk.send(ClientFactory.create(owner=desk.user, email="again@example.org"))
    hard = desk.bounce(dead)

    states = desk.ingest_together(
        hard,
        ENGLISH_VACATION,
        make_status(forged.email, "5.1.1", USER_UNKNOWN),  # only the address matches
        desk.bounce(angry, FULL),
        desk.complain(angry),
        hard,  # the same bytes
        hard.replace(b"mx.example.org", b"mx2.example.org"),  # reported by a second server
        desk.bounce(other),
        *[desk.bounce(delivery, FULL) for delivery in full],
        make_status(again.email, "5.1.1", USER_UNKNOWN),
        desk.bounce(again),  # now with proof
        b"Call me",
    )

    assert states == [UNDERSTOOD, IGNORED, UNCLEAR, *[UNDERSTOOD] * 8, UNCLEAR, UNDERSTOOD, UNCLEAR]
    bounced = dict.fromkeys([dead.email_key, other.email_key, client.email_key, again.email_key], "bounced")
    assert desk.suppressions() == bounced | {angry.email_key: "complained"}
    counts = [(delivery.run.returned, delivery.run.complaints) for delivery in (dead, angry, forged, other)]
    assert counts == [(1, 0), (1, 1), (0, 0), (1, 0)]
    assert [delivery.run.returned for delivery in [*full, again]] == [1] * 4
    assert count_usage(desk) == {
        (desk.user.id, UsageKind.BOUNCES): 2,
        (desk.user.id, UsageKind.COMPLAINTS): 1,
        (stranger.id, UsageKind.BOUNCES): 1,
    }
    assert len(desk.session.scalars(select(ReturnedLetter)).all()) == 13
    owners = desk.session.execute(select(Bounce.owner_id, func.count()).group_by(Bounce.owner_id)).tuples()
    assert dict(owners.all()) == {desk.user.id: 8, stranger.id: 1}


def test_a_page_that_another_process_has_read_changes_nothing(desk: Desk) -> None:
    first, second = desk.send(), desk.send()
    page = [desk.bounce(first), desk.bounce(second), b"Call me"]
    states = [UNDERSTOOD, UNDERSTOOD, UNCLEAR]
    assert desk.ingest_together(*page) == states

    assert desk.ingest_together(*reversed(page)) == states[::-1]

    assert (first.run.returned, second.run.returned) == (1, 1)
    assert len(desk.session.scalars(select(ReturnedLetter)).all()) == 3


def test_two_complaints_of_one_client_count_once_for_the_reputation(desk: Desk) -> None:
    client = ClientFactory.create(owner=desk.user)
    first, second = desk.send(client), desk.send(client)

    desk.ingest_together(desk.complain(first), desk.complain(second))

    assert count_usage(desk) == {(desk.user.id, UsageKind.COMPLAINTS): 1}
    assert (first.run.complaints, second.run.complaints) == (1, 1)


def test_a_letter_that_cannot_be_stored_does_not_stop_the_others(app: Flask, desk: Desk) -> None:
    deliveries = [desk.send() for _ in range(3)]
    arrivals = [Arrival.read(desk.bounce(delivery), "mailbox") for delivery in deliveries]
    [report] = arrivals[1].reports
    # No encoding has this character, so both drivers raise an error.
    arrivals[1] = replace(arrivals[1], reports=[replace(report, diagnostic="550 5.1.1 \ud800")])

    with app.app_context():
        stored = ingest_batches(arrivals, utcnow())

    assert [letter.state if letter else None for letter in stored] == [UNDERSTOOD, None, UNDERSTOOD]
    assert desk.suppressions().keys() == {deliveries[0].email_key, deliveries[2].email_key}
    assert desk.bounces() == [("hard", "signed")] * 2


def test_a_subject_that_becomes_the_reason_can_contain_anything(desk: Desk) -> None:
    delivery = desk.send()
    message_id = desk.quote(delivery).split("Message-ID: ")[1].split("\n")[0]
    subject = "Subject: =?utf-8?q?no_such=00_user?= =?unicode_escape?q?=5Cud800?="
    letter = f"X-Failed-Recipients: {delivery.email}\nIn-Reply-To: {message_id}\n{subject}\n\nSorry\n"

    assert desk.ingest_together(letter.encode()) == [UNDERSTOOD]
    assert desk.suppressions() == {delivery.email_key: "bounced"}


@pytest.mark.one_engine
def test_letters_about_many_addresses_do_not_share_a_transaction(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = "Action: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; "
    extra = "".join(f"{another}ann{number}@example.org\n" for number in range(69))
    many = [make_status("ann@example.org", "5.1.1", f"550 {number}", extra=extra) for number in range(3)]
    sizes: list[int] = []

    def record(arrivals: Sequence[Arrival], now: datetime) -> list[StoredReturn]:
        sizes.append(sum(len(arrival.reports) for arrival in arrivals))
        return ingest_letters(arrivals, now)

    monkeypatch.setattr(tasks, "ingest_letters", record)
    single = [f"Call {number}".encode() for number in range(31)]
    assert desk.ingest_together(*many, *single) == [UNCLEAR] * 34
    assert sizes == [70, 70, 100, 1]


def test_a_batch_takes_few_statements(desk: Desk) -> None:
    letters = [desk.bounce(desk.send(client)) for client in ClientFactory.create_batch(30, owner=desk.user)]
    links = [quote_headers(link=desk.quote(desk.send()).split("List-Unsubscribe: ")[1].split("\n")[0])]
    with record_statements() as statements:
        desk.ingest_together(*letters)
    # There is one statement for each letter, bounce and run interval, and there are 30 of each.
    assert len(statements) <= 3 * 30 + 15
    with record_statements() as statements:
        desk.ingest_together(*[make_complaint("", quoted=quoted) for quoted in links])
    assert len(statements) <= 20


def ingest_at_once(app: Flask, *pages: list[bytes]) -> list[Exception]:
    """Ingest several pages, each in a thread, as processes do; return the errors."""
    barrier = threading.Barrier(len(pages))
    failures: list[Exception] = []

    def work(letters: list[bytes]) -> None:
        with app.app_context():
            arrivals = [Arrival.read(raw, "mailbox") for raw in letters]
            barrier.wait()
            try:
                ingest_letters(arrivals, utcnow())
                db.session.commit()
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(letters,)) for letters in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.only_on("postgresql", reason="on SQLite, transactions that write wait for each other")
def test_processes_with_the_same_clients_in_another_order_do_not_block_each_other(
    app: Flask, desk: Desk
) -> None:
    clients = [
        ClientFactory.create(owner=owner) for owner in [desk.user, UserFactory.create()] for _ in range(3)
    ]
    for _ in range(5):
        deliveries = [desk.send(client) for client in clients]
        letters = [desk.bounce(delivery) for delivery in deliveries]
        copies = [raw.replace(b"mx.example.org", b"mx2.example.org") for raw in reversed(letters)]
        assert ingest_at_once(app, letters, copies) == []
        desk.session.expire_all()
        assert [delivery.run.returned for delivery in deliveries] == [1] * 6


@pytest.mark.only_on("postgresql", reason="on SQLite, transactions that write wait for each other")
def test_processes_with_bounces_and_complaints_of_one_owner_do_not_block_each_other(
    app: Flask, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = counting.add

    def add_slowly(connection: Connection, owner_id: int, kind: UsageKind, *args: Any) -> None:
        add(connection, owner_id, kind, *args)
        time.sleep(0.1 if kind is UsageKind.BOUNCES else 0.4)

    monkeypatch.setattr(counting, "add", add_slowly)
    dead, angry, furious = (desk.send() for _ in range(3))

    both = [desk.bounce(dead), desk.complain(angry)]
    assert ingest_at_once(app, both, [desk.complain(furious)]) == []

    assert count_usage(desk) == {
        (desk.user.id, UsageKind.BOUNCES): 1,
        (desk.user.id, UsageKind.COMPLAINTS): 2,
    }
