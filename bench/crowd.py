"""Benchmark the site with simulated users during a mailing, and while Redis or the database is down."""

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from bench.pages import FILL, sign_in, web_server
from bench.people import PageRequest
from bench.rows import Row, Sizes
from bench.sending import TIMEOUT, WARM_UP, send
from bench.service import PROJECT_DIR, MeasurementFailed, Service, check_all_sent
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow

PEOPLE = 50
WATCHERS = 5  # number of people who watch the mailing that is being sent
OWN_ROWS = 200  # number of clients, mailings and log lines for each of the other people
THINK_SECONDS = 2.0  # between requests, plus or minus half; a live page polls at the same interval
REDIS_DOWN_SECONDS = 5.0
RECOVERY_SECONDS = 1.0  # added to the end of a fault, because the service needs time to recover
MAX_SLOWDOWN = 3.0
MIN_RATE = 0.7


@dataclass
class Crowd:
    """A process that simulates people using the site."""

    process: subprocess.Popen[str]
    requests: list[PageRequest] = field(default_factory=list)

    def collect(self) -> list[PageRequest]:
        """Wait until the process ends; return all requests."""
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise MeasurementFailed("bench.people ended with an error")
        self.requests = [tuple(request) for request in json.loads(output)]
        return self.requests


@contextlib.contextmanager
def simulate_users(port: int, seconds: float, cookies: list[str]) -> Iterator[Crowd]:
    """Simulate people using the site for `seconds`, one for each cookie."""
    command = [sys.executable, "-m", "bench.people", str(port), str(seconds), str(THINK_SECONDS)]
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    # communicate(), which could write this, is called only at the end.
    process.stdin.write(json.dumps(cookies))
    process.stdin.close()
    process.stdin = None
    try:
        yield Crowd(process)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Setup:
    """The service, its users and the size of a mailing, shared by all measurements."""

    testbed: Testbed
    service: Service
    port: int
    cookies: list[str]
    owner: int
    letters: int

    def start_mailing(self) -> tuple[int, int]:
        """Start a mailing to all clients; return its ID and the number of letters that had arrived before."""
        before = self.testbed.sink.letters
        mailing = self.service.add_mailing(self.owner, utcnow())
        self.service.start_mailing(mailing)
        return mailing, before

    def wait_for_share(self, before: int, share: float) -> None:
        """Wait until this share of the letters has arrived."""
        target = before + share * self.letters
        self.service.wait_until(
            lambda: self.testbed.sink.letters >= target, f"{share:.0%} of the letters", TIMEOUT
        )

    def finish_mailing(self, mailing: int, before: int) -> float:
        """Wait for the run to end; return letters per second.

        Raises MeasurementFailed if any letter was not sent exactly once.
        """
        run = self.service.wait_for_end(mailing, TIMEOUT)
        assert run.finished_at is not None
        time.sleep(0.5)  # time for smtp-sink to print its last count
        arrived = self.testbed.sink.letters - before
        # The simulated people may have added clients, so compare with the planned number.
        check_all_sent(self.service.read_ledger(run), run.planned, arrived)
        return run.planned / (run.finished_at - run.started_at).total_seconds()


def crowd(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure the site with 50 users before and during a mailing, and during two faults."""
    with testbed.service(POSTGRESQL) as service, web_server(service) as port:
        send(testbed, service, WARM_UP)
        owner = service.add_owner(sizes.crowd_letters)
        setup = Setup(testbed, service, port, sign_people_in(service, owner), owner, sizes.crowd_letters)
        with simulate_users(port, sizes.crowd_seconds / 2, setup.cookies) as people:
            idle = people.collect()
        rate_without_people = setup.finish_mailing(*setup.start_mailing())
        yield from measure_during_mailing(setup, sizes.crowd_seconds, idle, rate_without_people)
        service.is_supervised = True
        yield measure_during_fault(
            setup, "Redis stopped", sizes, lambda: service.stop_redis_for(REDIS_DOWN_SECONDS)
        )
        yield measure_during_fault(setup, "the database restarted", sizes, testbed.postgresql.restart)


def sign_people_in(service: Service, owner: int) -> list[str]:
    """Return session cookies: some for `owner`, the others for users with a few clients and mailings each."""
    owners = []
    with Session(service.engine) as session:
        for _ in range(PEOPLE - WATCHERS):
            user_id = service.add_owner(OWN_ROWS)
            for statement in FILL[:-1]:
                values = {"owner": user_id, "count": OWN_ROWS}
                named = {key: value for key, value in values.items() if f":{key}" in statement}
                session.execute(text(statement), named)
            owners.append(user_id)
        session.execute(text(FILL[-1]))
    watching = sign_in(service, owner)
    return [watching] * WATCHERS + [sign_in(service, user_id) for user_id in owners]


def measure_during_mailing(
    setup: Setup, seconds: float, idle: list[PageRequest], rate_without_people: float
) -> Iterator[Row]:
    """Send mailings one after another while people use the site."""
    intervals: list[tuple[float, float]] = []
    rates = []
    with simulate_users(setup.port, seconds, setup.cookies) as people:
        deadline = time.time() + seconds
        time.sleep(2)
        while not intervals or time.time() < deadline - (intervals[0][1] - intervals[0][0]):
            started_at = time.time()
            rates.append(setup.finish_mailing(*setup.start_mailing()))
            intervals.append((started_at, time.time()))
        busy = [
            request
            for request in people.collect()
            if any(start <= request[0] <= end for start, end in intervals)
        ]
    ratio = compute_p95(busy) / compute_p95(idle)
    errors = count_errors(idle) + count_errors(busy)
    yield Row(
        f"{PEOPLE} people using the site while {setup.letters:,} letters are sent: 95% of responses within",
        f"{compute_p95(busy):.0f} ms ({ratio:.2f} x {compute_p95(idle):.0f} ms without letters), "
        f"{len(busy) / sum(end - start for start, end in intervals):.0f} requests/s, {format_errors(errors)}",
        "<= 3 x, no errors",
        "",
        ratio <= MAX_SLOWDOWN and not errors,
        {"idle_ms": summarize(idle), "busy_ms": summarize(busy), "errors": errors},
    )
    rate = len(rates) / sum(1 / rate for rate in rates)
    yield Row(
        "letters per second while people use the site, compared with no users",
        f"{rate / rate_without_people:.2f} x ({rate:,.0f}/s vs. {rate_without_people:,.0f}/s)",
        ">= 0.7 x",
        "",
        rate >= MIN_RATE * rate_without_people,
        {"without_people": rate_without_people, "during": rates},
    )


def measure_during_fault(setup: Setup, what: str, sizes: Sizes, fault: Callable[[], None]) -> Row:
    """Send a mailing while people use the site, and cause a fault partway through."""
    with simulate_users(setup.port, sizes.crowd_seconds / 2, setup.cookies) as people:
        time.sleep(2)
        mailing, before = setup.start_mailing()
        setup.wait_for_share(before, 0.25)
        down_at = time.time()
        fault()
        back_at = time.time() + RECOVERY_SECONDS
        setup.finish_mailing(mailing, before)
        requests = people.collect()
    during = [request for request in requests if down_at - 1 <= request[0] <= back_at]
    others = [request for request in requests if not down_at - 1 <= request[0] <= back_at]
    # Pages need the database, so errors are expected without it. Without Redis, every page must work.
    errors = count_errors(others) + (count_errors(during) if what.startswith("Redis") else Counter())
    fault_result = f"{compute_p95(during):.0f} ms, {format_errors(count_errors(during))}"
    return Row(
        f"the same with {what} partway through",
        f"all {setup.letters:,} letters sent once; "
        f"95% within {compute_p95(others):.0f} ms, {format_errors(errors)}; "
        f"during the {back_at - down_at:.1f} s of the fault: {fault_result}",
        "no errors" if what.startswith("Redis") else "no errors except during the fault",
        "",
        not errors,
        {"requests": len(requests), "during": summarize(during), "others": summarize(others)},
    )


def compute_p95(requests: list[PageRequest]) -> float:
    """Return the 95th percentile of response times in milliseconds."""
    times = sorted(request[1] for request in requests)
    return times[int(len(times) * 0.95)] if times else 0.0


def count_errors(requests: list[PageRequest]) -> Counter[str]:
    """Count the error responses by status and kind."""
    return Counter(f"{status} {kind}" for _, _, status, kind in requests if status not in (200, 302, 304))


def format_errors(errors: Counter[str]) -> str:
    if not errors:
        return "no errors"
    return (
        f"{errors.total()} errors (" + ", ".join(f"{n} x {what}" for what, n in errors.most_common(5)) + ")"
    )


def summarize(requests: list[PageRequest]) -> dict[str, object]:
    """Return count, median and 95th percentile (milliseconds) for each kind of request."""
    kinds: dict[str, list[PageRequest]] = {}
    for request in requests:
        kinds.setdefault(request[3], []).append(request)
    summary: dict[str, object] = {
        kind: [
            len(group),
            round(sorted(request[1] for request in group)[len(group) // 2]),
            round(compute_p95(group)),
        ]
        for kind, group in sorted(kinds.items())
    }
    return summary | {"all": [len(requests), round(compute_p95(requests))]}


ROWS = {"crowd": crowd}
