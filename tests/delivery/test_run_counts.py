"""Test that a run's counts always agree with its rows."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from skymailing import clock
from skymailing.audit import Actor
from skymailing.clients import deletion as clients
from skymailing.delivery.ledger import reconciliation
from skymailing.delivery.ledger.run_counts import (
    generalize_reply,
    get_interval_start,
    get_interval_width,
    run_keys,
)
from skymailing.extensions import db
from skymailing.mailings import resending
from skymailing.models import Client, Mailing, OnUnknown, Outcome, RunAnswer, RunDomain, RunInterval, User
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, get_only_run
from tests.support.factories import create_clients, due_mailing
from tests.support.servers import SmtpServer

START = datetime(2026, 3, 29, 0, 59, 58, 250_000, tzinfo=UTC)
times = st.integers(0, 80 * 3600 * 10).map(lambda tenths: START + timedelta(seconds=tenths / 10))


@given(times, times)
def test_intervals_do_not_overlap_or_cross_a_quarter_of_an_hour(first: datetime, second: datetime) -> None:
    begin, seconds = get_interval_start(first, START), get_interval_width(first, START)
    end = begin + timedelta(seconds=seconds)
    assert begin <= first < end
    assert begin.timestamp() // 900 == (end.timestamp() - 1) // 900
    assert (get_interval_start(begin, START), get_interval_width(begin, START)) == (begin, seconds)
    assert (get_interval_start(second, START) == begin) == (begin <= second < end)


def test_intervals_grow_with_the_age_of_the_run() -> None:
    assert [
        get_interval_width(START + timedelta(seconds=seconds), START) for seconds in (5, 90, 900, 9000)
    ] == [
        1,
        10,
        60,
        900,
    ]
    intervals = {
        get_interval_start(START + timedelta(seconds=seconds), START) for seconds in range(72 * 3600)
    }
    assert len(intervals) < 600


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("5.1.1 <anna@example.org>: user unknown", "5.1.1 …: user unknown"),
        ("5.1.1 boris@example.org: see https://mail.example/x?id=1 for more", "5.1.1 … see … for more"),
        ("4.2.0 Greylisted, try again in 5 min (4F2A19C0D3)", "4.2.0 Greylisted, try again in 5 min (…)"),
        ("mailbox 1234567 is full", "mailbox … is full"),
        ("", ""),
    ],
)  # fmt: skip
def test_variable_parts_are_removed_from_replies(reply: str, expected: str) -> None:
    assert generalize_reply(reply) == expected


def read_refusals(session: Session) -> Counter[tuple[str, int | None, str]]:
    rows = session.execute(select(RunAnswer.outcome, RunAnswer.code, RunAnswer.words, RunAnswer.attempts))
    refusals: Counter[tuple[str, int | None, str]] = Counter()
    for outcome, code, words, count in rows.tuples():
        refusals[outcome.value, code, words] += count  # the sum of all quarters of an hour
    return refusals


def read_all_counts(session: Session) -> list[list[str]]:
    """Return all stored counts except `deferred`, which may rise in one interval and fall in another."""
    columns = [column for column in RunInterval.__table__.c if column.name != "deferred"]
    is_used = or_(*(column != 0 for column in columns if column.default is not None))
    statements = (
        select(*columns).where(is_used),
        select(*RunAnswer.__table__.c),
        select(*RunDomain.__table__.c),
    )
    return [sorted(map(repr, session.execute(statement))) for statement in statements]


def refuse_some(smtp: SmtpServer, all_clients: list[Client]) -> None:
    for client in all_clients[:5]:
        smtp.rcpt_replies[client.email] = f"550 5.1.1 <{client.email}> user unknown"
    for client in all_clients[5:8]:
        smtp.rcpt_replies[client.email] = "552 5.2.2 mailbox full"
    for client in all_clients[8:15]:
        smtp.data_replies[client.email] = "451 4.7.1 greylisted, queue id 4F2A19C0D3"


def test_counts_stored_during_a_run_agree_with_its_rows(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    all_clients = create_clients(user, 40)
    refuse_some(smtp, all_clients)
    mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
    start(mailing)
    run = get_only_run(session)
    check_ledger(session, run, smtp.letters)
    assert read_refusals(session) == {
        ("failed", 550, "5.1.1 … user unknown"): 5,
        ("failed", 552, "5.2.2 mailbox full"): 3,
        ("deferred", 451, "4.7.1 greylisted, queue id …"): 7,
    }
    (domain,) = session.scalars(select(RunDomain))
    assert (domain.domain, domain.failed, domain.deferred, domain.unknown) == ("example.org", 8, 7, 0)

    # Two deferred clients are deleted, the full mailboxes are retried, and the others are accepted.
    smtp.data_replies.clear()
    smtp.rcpt_replies = {all_clients[5].email: "552 5.2.2 mailbox full"}
    with app.test_request_context():
        now = clock.utcnow()
        ids = [client.id for client in all_clients[8:10]]
        clients.delete_clients(user.id, ids, now, Actor(user.id, user.email))
        assert resending.resend_failed(db.session.get_one(Mailing, mailing.id), now) == 3
        db.session.commit()
    check_ledger(session, run, smtp.letters)
    with time_machine.travel(clock.utcnow() + timedelta(minutes=2)):
        sweep()
    check_ledger(session, run, smtp.letters)

    stored = read_all_counts(session)
    with app.app_context(), db.engine.begin() as connection:
        (key,) = run_keys(connection, [run.id])
        reconciliation.recount(connection, key)
    assert read_all_counts(session) == stored
    assert read_refusals(session)[Outcome.FAILED.value, 552, "5.2.2 mailbox full"] == 4


def test_wrong_counts_are_logged_and_rebuilt_when_the_run_ends(
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (deferred, *_others) = create_clients(user, 3)
    smtp.rcpt_replies[deferred.email] = "451 4.7.1 later"
    start(due_mailing(user))
    session.execute(text("UPDATE run_intervals SET sent = sent + 5"))
    smtp.rcpt_replies.clear()
    with time_machine.travel(clock.utcnow() + timedelta(minutes=2)):
        sweep()
    assert "has wrong counts" in caplog.text
    check_ledger(session, get_only_run(session), smtp.letters)
