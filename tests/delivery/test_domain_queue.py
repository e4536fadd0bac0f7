"""Test that a rate limit for one recipient domain does not delay other domains."""

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
from skymailing.delivery.ledger.open_runs import OpenRun, load_run
from skymailing.delivery.routing import domain_queue
from skymailing.delivery.routing.domain_queue import DomainQueue
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.extensions import db
from skymailing.models import Client, Delivery, DeliveryState, User
from tests.delivery.conftest import ServeFrom, Start
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.test_rate_limits import set_limits  # noqa: F401 - a fixture
from tests.faults.sink import Sink
from tests.support.factories import due_mailing

SLOW_DOMAIN = "slow.example"
RATE = 6


def add_clients(session: Session, owner: User, slow: int, others: int) -> None:
    """Create clients at one slow domain, followed by other clients that each have their own domain."""
    addresses = [f"c{number}@{SLOW_DOMAIN}" for number in range(slow)]
    addresses += [f"c{number}@{number}.example" for number in range(others)]
    for address in addresses:
        session.add(Client(owner_id=owner.id, email=address, email_key=address))
        session.flush()


def is_slow(address: str) -> bool:
    return address.endswith(f"@{SLOW_DOMAIN}")


def test_other_domains_are_not_delayed_by_a_limited_one(
    app: Flask,
    session: Session,
    user: User,
    start: Start,
    serve_from: ServeFrom,
    set_limits: Callable[..., None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Check a run that begins with more letters to the limited domain than fit into a window."""
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], largest_window=20))
    add_clients(session, user, slow=24, others=80)
    with Sink() as sink:
        serve_from(sink.port)
        set_limits(MAIL_RATE_PER_DOMAIN=RATE)
        start(due_mailing(user))

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 104}
    check_ledger(session, run, sink.letters)
    arrived = [(started_at, is_slow(recipient)) for started_at, recipient in sink.started]
    # This counts the first three seconds, however slow the machine is. In ID order, there would be only 24.
    slow_positions = [number for number, (_, slow) in enumerate(arrived) if slow]
    others_sent = slow_positions[3 * RATE] - 3 * RATE
    assert others_sent > 40, "the others waited for the limited domain"
    slow_times = [started_at for started_at, slow in arrived if slow]
    # Any one-second period may overlap two seconds of the clock.
    gaps = [later - earlier for earlier, later in zip(slow_times, slow_times[2 * RATE :], strict=False)]
    assert min(gaps) > 0.5


class ClaimingWorker:
    """A worker that claims letters without sending them."""

    def __init__(self, app: Flask, run: OpenRun) -> None:
        self.app = app
        self.run = run
        self.rates = RateLimits(None, None, RATE)
        self.now = 0.0  # the monotonic clock
        self.queue = DomainQueue(run.id, self.rates, lambda: self.now)

    def claim(self, limit: int = 20) -> list[str]:
        self.queue.begin_claim()
        with db.engine.begin() as connection:
            now = utcnow()
            claimed = claims.claim(
                connection, self.run, "token", now + timedelta(minutes=3), limit, now, self.queue
            )
        return [letter.email for letter in claimed]

    def filter_allowed(self, addresses: list[str]) -> list[str]:
        """Return the addresses to which the limits allow sending now."""
        return [to for to in addresses if self.rates.allow("primary", self.run.mailing_id, to)]

    def use_up_second(self) -> None:
        assert len(self.filter_allowed([f"x@{SLOW_DOMAIN}"] * (RATE + 1))) == RATE


CreateWorker = Callable[[], ClaimingWorker]


@pytest.fixture
def create_worker(app: Flask, session: Session, user: User) -> Iterator[CreateWorker]:
    """Return a function that creates workers for a run whose first 200 letters go to a limited domain."""
    add_clients(session, user, slow=200, others=30)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id
        with db.engine.connect() as connection:
            run = load_run(connection, run_id)
        yield lambda: ClaimingWorker(app, run)


@pytest.fixture
def advance_second() -> Iterator[Callable[[], None]]:
    """Return a function that advances a frozen clock by one second."""
    with time_machine.travel(datetime.now(UTC).replace(microsecond=0), tick=False) as clock:
        yield lambda: clock.shift(1)


def test_each_letter_is_read_only_once_after_many_limited_ones(
    create_worker: CreateWorker, advance_second: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain_queue, "ROWS_PER_QUERY", 50)
    reads: list[str] = []

    def count_read(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if statement.startswith("SELECT deliveries.id, deliveries.email \n"):
            reads.append(statement)

    worker = create_worker()
    event.listen(db.engine, "after_cursor_execute", count_read)
    try:
        immediate = [address for _ in range(4) for address in worker.filter_allowed(worker.claim())]
        first_reads = len(reads)
        later = []
        for _ in range(20):
            advance_second()
            later += worker.filter_allowed(worker.claim())
    finally:
        event.remove(db.engine, "after_cursor_execute", count_read)

    assert sum(map(is_slow, immediate)) == RATE
    assert len(immediate) == RATE + 30, "the others are sent immediately"
    assert len(later) == 20 * RATE
    assert all(map(is_slow, later))
    assert first_reads <= 230 / 50 + 3
    assert len(reads) == first_reads, "later claims remember the skipped letters"


def test_a_letter_returned_to_pending_behind_the_workers_position_is_found_by_the_next_scan(
    session: Session, create_worker: CreateWorker, advance_second: Callable[[], None]
) -> None:
    """Another worker claimed letters and died, and the sweep returned them to pending."""
    worker = create_worker()
    returned = select(Delivery.id).where(Delivery.email.startswith("c3@3."))
    session.execute(update(Delivery).where(Delivery.id.in_(returned)).values(state=DeliveryState.SENDING))
    worker.use_up_second()
    while worker.claim():
        pass
    session.execute(update(Delivery).where(Delivery.id.in_(returned)).values(state=DeliveryState.PENDING))

    assert worker.claim() == []
    worker.now += domain_queue.RESCAN_SECONDS + 1

    assert worker.claim() == ["c3@3.example"]


def test_one_claim_skips_all_letters_that_other_workers_have_claimed(
    create_worker: CreateWorker, advance_second: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain_queue, "IDS_PER_CHECK", 30)
    first, second = create_worker(), create_worker()
    for worker in (first, second):
        advance_second()
        worker.use_up_second()
        while worker.claim():
            pass
    claimed_by_first = []
    for _ in range(30):
        advance_second()
        claimed_by_first += first.claim(RATE)

    advance_second()
    claimed = second.claim(RATE)

    assert len(claimed) == RATE
    assert not set(claimed) & set(claimed_by_first)


def test_letters_that_were_not_started_are_claimed_again_before_later_ones(
    create_worker: CreateWorker, session: Session, advance_second: Callable[[], None]
) -> None:
    worker = create_worker()
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

    advance_second()

    assert [address for address in worker.claim() if is_slow(address)] == claimed


def test_workers_wait_only_until_the_next_second(create_worker: CreateWorker) -> None:
    worker = create_worker()
    assert worker.queue.wait_for_more()
    while worker.claim():
        worker.filter_allowed([f"x@{SLOW_DOMAIN}"] * (RATE + 1))
    start = time.monotonic()
    assert worker.queue.wait_for_more()
    assert time.monotonic() - start < 5
    assert worker.claim()
