"""Test that all workers together obey the rate limits, and that every recipient gets a letter."""

import signal
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.models import MailingState, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import ClientFactory, MailingFactory, create_clients
from tests.support.servers import RedisServer, SmtpServer

# Rates are counted in Redis.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def set_limits(app: Flask, session: Session) -> Iterator[Callable[..., None]]:
    """Yield a function that sets rate limits, which are restored afterwards."""
    names = ("MAIL_RATE", "MAIL_RATE_PER_MAILING", "MAIL_RATE_PER_DOMAIN")
    before = {name: app.config[name] for name in names}

    def use(**rates: int) -> None:
        app.config.update(rates)
        with app.app_context():
            close_dispatcher()

    yield use
    use(**before)


@pytest.fixture
def start_of_second() -> None:
    """Wait for the start of a clock second, the period in which letters are counted."""
    time.sleep(1 - time.time() % 1)


@pytest.mark.usefixtures("start_of_second")
def test_two_workers_share_one_limit(app: Flask, session: Session) -> None:
    with app.app_context():
        first, second = RateLimits(5, None, None), RateLimits(5, None, None)
        allowed = [rates.allow("primary", 1, "a@example.org") for _ in range(5) for rates in (first, second)]

    assert sum(allowed) == 5
    assert first.was_held_back
    assert second.was_held_back


@pytest.mark.usefixtures("start_of_second")
def test_a_limited_domain_does_not_slow_down_the_others(app: Flask, session: Session) -> None:
    with app.app_context():
        rates = RateLimits(100, None, 2)
        small = [rates.allow("primary", 1, f"{number}@small.example") for number in range(5)]
        other = [rates.allow("primary", 1, f"{number}@{number}.example") for number in range(5)]

    assert small == [True, True, False, False, False]
    assert other == [True] * 5


def test_without_redis_each_worker_uses_only_its_share(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "RATELIMIT_STORAGE_URI", "redis+unix:///nowhere/redis.sock")
    monkeypatch.setitem(app.config, "WORKERS", 2)
    with app.app_context():
        rates = RateLimits(10, None, None)
        allowed = [rates.allow("primary", 1, "a@example.org") for _ in range(10)]

    assert 5 <= sum(allowed) <= 6, "one more if a new second begins in between"


@pytest.mark.parametrize("name", ["MAIL_RATE", "MAIL_RATE_PER_MAILING", "MAIL_RATE_PER_DOMAIN"])
def test_a_limited_mailing_obeys_its_rate_and_reaches_every_client(
    app: Flask,
    session: Session,
    user: User,
    work: Callable[[], None],
    smtp: SmtpServer,
    set_limits: Callable[..., None],
    name: str,
) -> None:
    create_clients(user, 25)
    ClientFactory.create(owner=user, email="other@example.net")
    set_limits(**{name: 10})
    mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=utcnow())
    start = time.monotonic()
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()

    assert time.monotonic() - start > 1, "25 letters at 10 per second span three clock seconds"
    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 26}
    check_ledger(session, run, smtp.letters)


def test_a_redis_that_hangs_delays_letters_only_once(
    app: Flask, session: Session, redis_server: RedisServer
) -> None:
    with app.app_context():
        rates = RateLimits(1000, None, None)
        redis_server.process.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        try:
            allowed = [rates.allow("primary", 1, "a@example.org") for _ in range(50)]
        finally:
            redis_server.process.send_signal(signal.SIGCONT)

    assert all(allowed)
    assert time.monotonic() - start < 8
