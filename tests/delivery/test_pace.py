"""Test that a mail server that limits the rate gets fewer letters per second, and that no letter fails."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.routing import pace, routes
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.delivery.routing.route_memory import RouteMemory
from skymailing.models import Attempt, Route, User
from skymailing.settings.engine import EngineSettings
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.sink import Sink, Stage, Turn
from tests.support.factories import create_clients, due_mailing

# The pace is computed in Python and kept in Redis.
pytestmark = pytest.mark.one_engine

REFUSAL = "450 4.7.1 Error: too much mail from 127.0.0.1"


@pytest.fixture
def route(app: Flask, session: Session) -> Callable[[], Route]:
    def read() -> Route:
        session.expire_all()
        return session.execute(select(Route)).scalar_one()

    return read


@pytest.fixture
def _short_measurement(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the rate before a refusal over two seconds, so that the pace after it is close to the limit."""
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], pace_measure_seconds=2.0))


class RateLimit:
    """A script for a Sink that accepts `limit` letters per second and refuses more at MAIL."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.refused = 0
        self._tokens = self._at = 0.0

    def __call__(self, turn: Turn) -> None:
        if turn.stage is not Stage.MAIL:
            return
        now = time.monotonic()
        self._tokens = min(self.limit, self._tokens + (now - self._at) * self.limit)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
        else:
            self.refused += 1
            turn.say(REFUSAL)


@pytest.mark.both_engines
@pytest.mark.usefixtures("_short_measurement")
def test_a_rate_limit_uses_up_no_attempts(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work, route: Callable[[], Route]
) -> None:
    clients = create_clients(user, 120)
    due_mailing(user)
    limit = RateLimit(40)
    with Sink(limit) as sink:
        serve_from(sink.port)
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": len(clients)}
    assert session.scalar(select(func.count()).select_from(Attempt)) == len(clients)
    assert 0 < limit.refused <= 20, "refusals of the first burst, and hardly any later"
    assert route().last_refusal == REFUSAL
    assert route().state == "closed"
    check_ledger(session, get_only_run(session), sink.letters)


def slow_down(app: Flask, rate: float = 20.0, seconds: float = 0) -> None:
    with app.app_context():
        pace.slow_down(routes.PRIMARY, REFUSAL, rate, utcnow() + timedelta(seconds=seconds))


def accept(app: Flask, seconds: float, is_held_back: bool = True) -> None:
    """Report letters that were accepted after this many seconds."""
    with app.app_context():
        now = utcnow() + timedelta(seconds=seconds)
        pace.report_accepted(routes.PRIMARY, memory(app), is_held_back, now)


def memory(app: Flask) -> RouteMemory:
    with app.app_context():
        return routes.admit(routes.PRIMARY, utcnow(), owner_id=1).memory


def test_the_pace_falls_at_once_and_grows_evenly_until_it_is_forgotten(app: Flask, session: Session) -> None:
    """The pace grows by a tenth in every fifth second of sending."""
    slow_down(app, rate=20)
    assert memory(app).pace == pytest.approx(14)
    paces = []
    for number in range(1, 33):
        accept(app, 6.0 * number)
        paces.append(memory(app).pace)

    assert paces[:3] == [pytest.approx(15.4), pytest.approx(16.8), pytest.approx(18.2)]
    assert all(known and known <= 4 * 14 + 0.1 for known in paces[:29])
    assert paces[-1] is None, "four times the pace at the refusal: the limit is gone"


def test_the_pace_grows_only_every_few_seconds_and_only_if_it_is_the_limit(
    app: Flask, session: Session
) -> None:
    slow_down(app, rate=20)
    accept(app, 2)
    accept(app, 60, is_held_back=False)
    assert memory(app).pace == pytest.approx(14)
    assert memory(app).refusals_in_a_row == 0


def test_refusals_without_an_accepted_letter_lengthen_the_pause_instead_of_lowering_the_pace(
    app: Flask, session: Session, route: Callable[[], Route]
) -> None:
    pauses = []
    now = 0.0
    for _ in range(8):
        slow_down(app, rate=20, seconds=now)
        left = route().paused_until
        assert left is not None
        pauses.append(round((left - utcnow()).total_seconds() - now))
        now += pauses[-1] + 1

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert route().pace == pytest.approx(14)
    accept(app, now, is_held_back=False)
    slow_down(app, seconds=now)
    assert route().pace == pytest.approx(14 * 0.7)


def test_the_pace_is_lowered_once_while_the_server_still_counts_earlier_letters(
    app: Flask, session: Session
) -> None:
    slow_down(app, rate=20)
    for seconds in (2, 6, 12):
        accept(app, seconds, is_held_back=False)
        slow_down(app, seconds=seconds)
        assert memory(app).pace == pytest.approx(14)
    accept(app, 30, is_held_back=False)
    slow_down(app, seconds=31)
    assert memory(app).pace == pytest.approx(14 * 0.7)


@pytest.mark.both_engines
def test_workers_that_are_refused_at_the_same_time_slow_down_once(app: Flask, session: Session) -> None:
    for _ in range(3):
        slow_down(app, rate=20)

    assert memory(app).pace == pytest.approx(14)
    assert memory(app).refusals_in_a_row == 1


@pytest.mark.parametrize(("letters", "seconds"), [(0.25, 12), (1.9, 4), (12.5, 1)])
def test_a_learned_pace_is_obeyed_even_below_one_letter_per_second(
    app: Flask, session: Session, letters: float, seconds: int
) -> None:
    now = utcnow().replace(microsecond=0)
    start = now - timedelta(seconds=now.timestamp() % 12)
    with app.app_context():
        rates = RateLimits(None, None, None)
        rates.apply_memory(RouteMemory(pace=letters), start)
        allowed = 0
        for second in range(seconds):
            with time_machine.travel(start + timedelta(seconds=second + 0.5)):
                allowed += sum(rates.allow("primary", 1, f"{n}@example.org") for n in range(20))

    assert allowed == int(letters * seconds)


def test_a_pause_holds_letters_back_except_after_a_jump_of_the_clock(app: Flask, session: Session) -> None:
    now = utcnow()
    with app.app_context():
        rates = RateLimits(None, None, None)
        rates.apply_memory(RouteMemory(pace=5.0, paused_until=now + timedelta(seconds=30)), now)
        assert 28 < rates.wait_if_held_back("primary") <= 30
        rates.apply_memory(RouteMemory(pace=5.0, paused_until=now + timedelta(days=1)), now)
        assert rates.wait_if_held_back("primary") == 0


def use_up(rates: RateLimits) -> None:
    """Start letters of mailing 1 until a limit holds one back."""
    while rates.allow("primary", 1, "anna@example.org"):
        pass


def test_the_wait_for_a_pace_counts_for_the_window_after_it(app: Flask, session: Session) -> None:
    """A single worker uses up each period in one window, so only the wait shows that the pace is too low."""
    with app.app_context():
        rates = RateLimits(None, None, None)
        rates.apply_memory(RouteMemory(pace=14.0), utcnow())
        use_up(rates)
        rates.wait_if_held_back("primary", 1)
        assert rates.was_held_back_by_pace
        assert rates.allow("primary", 1, "anna@example.org")
        assert rates.was_held_back_by_pace
        time.sleep(1)
        rates.wait_if_held_back("primary", 1)
        assert not rates.was_held_back_by_pace


@pytest.mark.parametrize(("route", "mailing"), [(5, None), (None, 5)])
def test_another_limit_does_not_raise_the_pace(
    app: Flask, session: Session, route: int | None, mailing: int | None
) -> None:
    with app.app_context():
        rates = RateLimits(route, mailing, None)
        rates.apply_memory(RouteMemory(pace=14.0), utcnow())
        use_up(rates)
        assert rates.was_held_back
        assert not rates.was_held_back_by_pace


def test_a_route_or_mailing_at_its_limit_does_not_hold_back_others(app: Flask, session: Session) -> None:
    with app.app_context():
        route = RateLimits(None, None, None)
        route.apply_memory(RouteMemory(pace=0.05), utcnow())
        use_up(route)
        route.apply_memory(RouteMemory(), utcnow())  # the other route has no pace
        assert route.wait_if_held_back("fallback", 1) == 0
        mailing = RateLimits(None, 1, None)
        use_up(mailing)
        assert mailing.wait_if_held_back("primary", 2) == 0


def test_the_rate_before_a_refusal_is_measured_over_some_seconds(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "WORKERS", 2)
    clock = [1000.0]
    with app.app_context():
        meter = pace.Meter(EngineSettings(), lambda: clock[0])
        meter.add(150)
        assert meter.estimate_rate() == 2 * 150 / 20
        clock[0] += 21
        meter.add(10)
        assert meter.estimate_rate() == 2 * 10 / 20
