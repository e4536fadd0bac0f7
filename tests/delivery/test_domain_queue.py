"""A rate limit for one recipient domain does not delay other domains."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.ledger import claims
from skymailing.delivery.ledger.claims import OpenRun
from skymailing.delivery.routing import domain_queue
from skymailing.delivery.routing.domain_queue import DomainQueue
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.extensions import db
from skymailing.models import Client, Delivery, DeliveryState, User
from tests.delivery.conftest import ServeFrom, Start
from tests.delivery.ledger import check_ledger, only_run, states
from tests.delivery.test_rate_limits import limit  # noqa: F401 - a fixture
from tests.faults.sink import Sink
from tests.support.factories import due_mailing

SLOW = "slow.example"
RATE = 6


def add_clients(session: Session, owner: User, slow: int, others: int) -> None:
    """Create clients at one slow domain, followed by others that each have their own domain."""
    addresses = [f"c{number}@{SLOW}" for number in range(slow)]
    addresses += [f"c{number}@{number}.example" for number in range(others)]
    for address in addresses:
        session.add(Client(owner_id=owner.id, email=address, email_key=address))
        session.flush()


def is_slow(address: str) -> bool:
    return address.endswith(f"@{SLOW}")


def test_other_domains_get_their_letters_while_a_limited_one_waits(
    app: Flask,
    session: Session,
    user: User,
    start: Start,
    serve_from: ServeFrom,
    limit: Callable[..., None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Letters to the limited domain come first, and there are more of them than fit into a window."""
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], largest_window=20))
    add_clients(session, user, slow=24, others=80)
    with Sink() as sink:
        serve_from(sink.port)
        limit(MAIL_RATE_PER_DOMAIN=RATE)
        start(due_mailing(user))

    run = only_run(session)
    assert states(session, run) == {"sent": 104}
    check_ledger(session, run, sink.letters)
    arrived = [(moment, is_slow(recipient)) for moment, recipient in sink.begun]
    # Within three seconds, however slow the machine is. In order of ID, only 24 others would have been sent.
    places = [number for number, (_, slow) in enumerate(arrived) if slow]
    others_sent = places[3 * RATE] - 3 * RATE
    assert others_sent > 40, "the others waited for the limited domain"
    slow_times = [moment for moment, slow in arrived if slow]
    # Any period of one second may overlap two calendar seconds.
    gaps = [later - earlier for earlier, later in zip(slow_times, slow_times[2 * RATE :], strict=False)]
    assert min(gaps) > 0.5


class Claimant:
    """A worker that claims letters, one second at a time, and sends nothing."""

    def __init__(self, app: Flask, run: OpenRun) -> None:
        self.app = app
        self.run = run
        self.rates = RateLimits(None, None, RATE)
        self.now = 0.0  # of the monotonic clock
        self.queue = DomainQueue(run.id, self.rates, lambda: self.now)

    def claim(self, most: int = 20) -> list[str]:
        self.queue.begin_claim()
        with db.engine.begin() as connection:
            now = utcnow()
            claimed = claims.claim(
                connection, self.run, "token", now + timedelta(minutes=3), most, now, self.queue
            )
        return [one.email for one in claimed]

    def start(self, addresses: list[str]) -> list[str]:
        """Return the addresses to which the limits allow sending now."""
        return [one for one in addresses if self.rates.allow("primary", self.run.mailing_id, one)]

    def use_up_second(self) -> None:
        assert len(self.start([f"x@{SLOW}"] * (RATE + 1))) == RATE


Engage = Callable[[], Claimant]


@pytest.fixture
def engage(app: Flask, session: Session, user: User) -> Iterator[Engage]:
    """Return a function that creates workers for a run whose first 200 letters go to a limited domain."""
    add_clients(session, user, slow=200, others=30)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id
        with db.engine.connect() as connection:
            run = claims.load_run(connection, run_id)
        yield lambda: Claimant(app, run)


@pytest.fixture
def seconds() -> Iterator[Callable[[], None]]:
    """Return a function that advances a frozen clock by one second."""
    with time_machine.travel(datetime.now(UTC).replace(microsecond=0), tick=False) as clock:
        yield lambda: clock.shift(1)


def test_each_letter_is_read_only_once_even_after_many_limited_ones(
    engage: Engage, seconds: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain_queue, "ROWS_PER_QUERY", 50)
    reads: list[str] = []

    def count_read(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if statement.startswith("SELECT deliveries.id, deliveries.email \n"):
            reads.append(statement)

    worker = engage()
    event.listen(db.engine, "after_cursor_execute", count_read)
    try:
        at_once = [address for _ in range(4) for address in worker.start(worker.claim())]
        first = len(reads)
        later = []
        for _ in range(20):
            seconds()
            later += worker.start(worker.claim())
    finally:
        event.remove(db.engine, "after_cursor_execute", count_read)

    assert sum(map(is_slow, at_once)) == RATE
    assert len(at_once) == RATE + 30, "the others are sent at once"
    assert len(later) == 20 * RATE
    assert all(map(is_slow, later))
    assert first <= 230 / 50 + 3
    assert len(reads) == first, "later claims remember the skipped letters"


def test_a_letter_returned_to_pending_before_the_workers_position_is_found_by_the_next_scan(
    session: Session, engage: Engage, seconds: Callable[[], None]
) -> None:
    """Another worker claimed letters and died, and the sweep returned them to pending."""
    worker = engage()
    other = select(Delivery.id).where(Delivery.email.startswith("c3@3."))
    session.execute(update(Delivery).where(Delivery.id.in_(other)).values(state=DeliveryState.SENDING))
    worker.use_up_second()
    while worker.claim():
        pass
    session.execute(update(Delivery).where(Delivery.id.in_(other)).values(state=DeliveryState.PENDING))

    assert worker.claim() == []
    worker.now += domain_queue.RESCAN_SECONDS + 1

    assert worker.claim() == ["c3@3.example"]


def test_one_claim_skips_all_letters_that_others_have_claimed(
    engage: Engage, seconds: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain_queue, "IDS_PER_CHECK", 30)
    first, second = engage(), engage()
    for worker in (first, second):
        seconds()
        worker.use_up_second()
        while worker.claim():
            pass
    taken = []
    for _ in range(30):
        seconds()
        taken += first.claim(RATE)

    seconds()
    claimed = second.claim(RATE)

    assert len(claimed) == RATE
    assert not set(claimed) & set(taken)


def test_letters_that_were_not_started_are_claimed_again_before_later_ones(
    engage: Engage, session: Session, seconds: Callable[[], None]
) -> None:
    worker = engage()
    claimed = [address for address in worker.claim() if is_slow(address)]
    rows = session.execute(
        select(Delivery.id, Delivery.email).where(Delivery.state == DeliveryState.SENDING)
    ).all()
    released = [(row.id, row.email) for row in rows if is_slow(row.email)]
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_([id for id, _ in released]))
        .values(state=DeliveryState.PENDING, lease_until=None)
    )
    worker.queue.requeue(released)

    seconds()

    assert [address for address in worker.claim() if is_slow(address)] == claimed


def test_workers_sleep_only_until_the_next_second_while_letters_wait(engage: Engage) -> None:
    worker = engage()
    assert worker.queue.wait_for_more()
    while worker.claim():
        worker.start([f"x@{SLOW}"] * (RATE + 1))
    begun = time.monotonic()
    assert worker.queue.wait_for_more()
    assert time.monotonic() - begun < 1.5
    assert worker.claim()
