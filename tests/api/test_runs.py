"""Runs, deliveries and attempts through the API."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Delivery, DeliveryState, Outcome, RunState, User
from tests.api.conftest import Program
from tests.support.factories import AttemptFactory, MailingFactory, create_run

ALL_STATES = {state: number for number, state in enumerate(DeliveryState, 1)}


def test_a_run_has_the_nine_counts_of_its_ledger(program: Program, user: User) -> None:
    mailing = MailingFactory.create(owner=user)
    run = create_run(mailing, ALL_STATES, state=RunState.SENDING)
    shown = program.read(f"/runs/{run.id}")
    assert shown["counts"] == {state.value: number for state, number in ALL_STATES.items()}
    assert shown["planned"] == sum(shown["counts"].values()) == 45
    assert (shown["mailing_id"], shown["state"]) == (mailing.id, "sending")
    assert program.read_all(f"/mailings/{mailing.id}/runs") == [shown]


def test_states_of_the_engine_are_shown_as_sending(program: Program, user: User) -> None:
    run = create_run(MailingFactory.create(owner=user), {}, state=RunState.ROUTED)
    assert program.read(f"/runs/{run.id}")["state"] == "sending"


def test_deliveries_are_read_by_cursor_and_state(program: Program, session: Session, user: User) -> None:
    mailing = MailingFactory.create(owner=user)
    other = create_run(mailing, {DeliveryState.SENT: 3})
    run = create_run(mailing, ALL_STATES, scheduled_for=mailing.ends_at)
    create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 3})
    path = f"/runs/{run.id}/deliveries"
    rows = program.read_all(f"{path}?limit=7")
    expected = session.scalars(select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)).all()
    assert [row["id"] for row in rows] == [delivery.id for delivery in expected]
    assert {row["run_id"] for row in rows} == {run.id}
    failed = program.read_all(f"{path}?limit=2&state=failed")
    assert [row["id"] for row in failed] == [row["id"] for row in rows if row["state"] == "failed"]
    assert len(program.read_all(f"/runs/{other.id}/deliveries")) == 3
    assert program.read(f"/deliveries/{rows[0]['id']}") == rows[0]
    assert program.refuse("GET", f"{path}?state=lost")[2] == ["state"]


def test_a_run_without_deliveries_has_an_empty_list(program: Program, user: User) -> None:
    run = create_run(MailingFactory.create(owner=user), {}, state=RunState.SKIPPED)
    assert program.read(f"/runs/{run.id}/deliveries") == {"data": [], "next": None}


def test_attempts_contain_the_mail_servers_replies(program: Program, session: Session, user: User) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.FAILED: 2})
    first, second = session.scalars(select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id))
    replies: list[dict[str, Any]] = [
        {"outcome": Outcome.DEFERRED, "code": 451, "answer": "4.7.1 Greylisted"},
        {"outcome": Outcome.FAILED, "code": 550, "answer": "5.1.1 No such user"},
    ]
    for number, reply in enumerate(replies, 1):
        AttemptFactory.create(delivery=first, number=number, **reply)
    AttemptFactory.create(delivery=second, outcome=Outcome.UNKNOWN, code=None, answer="connection lost")
    rows = program.read_all(f"/runs/{run.id}/attempts?limit=2")
    assert [(row["email"], row["number"], row["outcome"], row["code"], row["answer"]) for row in rows] == [
        (first.email, 1, "deferred", 451, "4.7.1 Greylisted"),
        (first.email, 2, "failed", 550, "5.1.1 No such user"),
        (second.email, 1, "unknown", None, "connection lost"),
    ]
    assert program.read_all(f"/deliveries/{first.id}/attempts?limit=1") == rows[:2]
    assert program.read_all(f"/runs/{run.id}/attempts?outcome=failed") == rows[1:2]
