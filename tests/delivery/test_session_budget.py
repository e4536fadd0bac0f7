"""Test how sessions are counted for several workers: shares, refusals, killed workers, growing limits."""

from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.delivery.routing import reopening, routes
from skymailing.delivery.routing.session_budget import SessionBudget, Share
from skymailing.settings.engine import EngineSettings

pytestmark = pytest.mark.one_engine

NewBudget = Callable[[str], SessionBudget]


@pytest.fixture
def clock(session: Session) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(utcnow(), tick=False) as clock:
        yield clock


@pytest.fixture
def new_budget(app: Flask, session: Session, clock: time_machine.Traveller) -> Iterator[NewBudget]:
    def create_budget(holder: str) -> SessionBudget:
        clock.shift(0.001)  # so that the first worker comes first
        return SessionBudget(routes.PRIMARY, holder, EngineSettings())

    with app.app_context():
        yield create_budget


def share_of(budget: SessionBudget, count: int, wanted: int = 20, is_urgent: bool = False) -> tuple[int, int]:
    share = budget.request(count, wanted, is_urgent)
    return share.now, share.later


def limit_to(first: SessionBudget, second: SessionBudget, count: int) -> None:
    """Make the server refuse the second worker's first session while the first worker has `count`."""
    first.request(count, count)
    second.request(0, 1)
    assert second.learn(0, is_busy=True)


def test_nothing_is_limited_until_the_server_refuses_a_session(new_budget: NewBudget) -> None:
    first, second = new_budget("first"), new_budget("second")
    assert first.request(0, 20) == Share(20, 20, 0)
    first.note(20)
    assert second.request(0, 20) == Share(20, 20, 20)
    assert not second.is_limited


def test_workers_share_what_was_open_at_a_refusal(new_budget: NewBudget) -> None:
    first, second, third = new_budget("first"), new_budget("second"), new_budget("third")
    limit_to(first, second, 4)

    assert share_of(second, 0) == (0, 2), "the first worker still has all of them"
    assert share_of(first, 4) == (2, 2)
    first.note(2)
    assert share_of(second, 0) == (2, 2)
    second.note(2)

    assert share_of(third, 0) == (0, 1)
    assert share_of(first, 2) == (2, 2), "the first worker gets the remainder"
    assert share_of(second, 2) == (1, 1)
    second.note(1)
    assert share_of(third, 0) == (1, 1)

    first.leave()
    third.leave()
    assert share_of(second, 1) == (4, 4)


def test_a_worker_that_comes_too_late_gets_no_session(new_budget: NewBudget) -> None:
    first, second = new_budget("first"), new_budget("second")
    limit_to(first, second, 1)

    assert share_of(second, 0) == (0, 0)
    assert share_of(first, 1) == (1, 1)
    second.leave()
    assert not second.has_room()
    first.leave()
    assert second.has_room()


def test_account_letters_get_the_only_session(new_budget: NewBudget) -> None:
    first, second = new_budget("first"), new_budget("second")
    limit_to(first, second, 1)

    assert share_of(second, 0, 1, is_urgent=True) == (0, 1)
    assert share_of(first, 1) == (0, 0), "the first worker makes room"
    first.leave()
    assert share_of(second, 0, 1, is_urgent=True) == (1, 1)


def test_a_refusal_without_other_sessions_is_an_outage(new_budget: NewBudget) -> None:
    first, second = new_budget("first"), new_budget("second")
    first.request(0, 20)
    assert not first.learn(0, is_busy=True)
    second.request(0, 20)
    assert first.learn(0, is_busy=True), "the second worker may be opening a session"
    assert first.request(0, 20) == Share(20, 20, 0)


def test_an_unreachable_server_is_an_outage_even_if_other_workers_have_sessions(
    new_budget: NewBudget,
) -> None:
    first, second = new_budget("first"), new_budget("second")
    first.request(1, 1)
    second.request(0, 20)
    assert not second.learn(0, is_busy=False)
    assert share_of(second, 0) == (20, 20)


def test_a_killed_worker_keeps_its_session_for_a_few_seconds(
    new_budget: NewBudget, clock: time_machine.Traveller
) -> None:
    first, second = new_budget("killed"), new_budget("second")
    limit_to(first, second, 1)
    assert share_of(second, 0) == (0, 0)

    clock.shift(6)
    assert share_of(second, 0) == (1, 1)
    assert second.learn(0, is_busy=True), "the first worker may also be alive and slow"

    clock.shift(120)
    second.request(0, 20)
    assert second.request(0, 20).others == 0


def test_the_limit_grows_and_is_forgotten(new_budget: NewBudget, clock: time_machine.Traveller) -> None:
    budget = new_budget("first")
    budget.request(2, 20)
    assert budget.learn(2, is_busy=False)

    grown = []
    for _ in range(8):
        clock.shift(61)
        budget.request(2, 20)
        grown.append(budget.request(2, 20).now)
    assert grown == [3, 4, 5, 6, 7, 8, 20, 20]


def test_a_refusal_lowers_the_grown_limit(new_budget: NewBudget, clock: time_machine.Traveller) -> None:
    budget = new_budget("first")
    budget.request(2, 20)
    budget.learn(2, is_busy=True)
    clock.shift(61)
    budget.request(2, 20)
    assert share_of(budget, 2) == (3, 3)

    budget.learn(2, is_busy=True)
    assert share_of(budget, 2) == (2, 2)


def test_a_limit_that_no_worker_reaches_is_kept(new_budget: NewBudget, clock: time_machine.Traveller) -> None:
    budget = new_budget("first")
    budget.request(2, 20)
    budget.learn(2, is_busy=True)
    clock.shift(61)
    budget.request(2, 2)
    assert share_of(budget, 2) == (2, 2)


def test_a_reopened_route_is_not_limited(new_budget: NewBudget) -> None:
    budget = new_budget("first")
    budget.request(2, 20)
    budget.learn(2, is_busy=True)
    reopening.reopen(routes.PRIMARY)
    assert share_of(budget, 2) == (20, 20)


def test_without_redis_each_worker_knows_its_own_sessions(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        monkeypatch.setitem(app.config, "REDIS_URL", "redis://127.0.0.1:1/0")
        monkeypatch.setitem(app.extensions, "skymailing_redis", queue.connect())
        budget = SessionBudget(routes.PRIMARY, "first", EngineSettings())
        assert budget.request(0, 20) == Share(20, 20, 0)
        assert budget.learn(4, is_busy=False)
        assert not budget.learn(0, is_busy=True)
        assert budget.has_room()
        budget.leave()
