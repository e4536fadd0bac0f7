"""Benchmark people using the site during a mailing, including while Redis or the database is down."""

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
from bench.people import Click
from bench.rows import Row, Sizes
from bench.sending import TIMEOUT, WARM_UP, send
from bench.service import PROJECT_DIR, MeasurementFailed, Service, check_all_sent
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow

PEOPLE = 50
WATCHERS = 5  # number of people who watch the mailing that is being sent
OWN_ROWS = 200  # number of clients, mailings and log lines for each of the others
THINK_SECONDS = 2.0  # between clicks, plus or minus half; a live page polls at the same interval
REDIS_DOWN_SECONDS = 5.0
RECOVERY_SECONDS = 1.0  # added to the end of a fault, as the service recovers
MAX_SLOWDOWN = 3.0
MIN_RATE = 0.7


@dataclass
class Crowd:
    """A process that simulates people using the site."""

    process: subprocess.Popen[str]
    clicks: list[Click] = field(default_factory=list)

    def collect(self) -> list[Click]:
        """Wait until the process ends; return all clicks."""
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise MeasurementFailed("bench.people ended with an error")
        self.clicks = [tuple(click) for click in json.loads(output)]
        return self.clicks


@contextlib.contextmanager
def clicking(port: int, seconds: float, cookies: list[str]) -> Iterator[Crowd]:
    """Simulate people clicking for `seconds`, one for each cookie."""
    command = [sys.executable, "-m", "bench.people", str(port), str(seconds), str(THINK_SECONDS)]
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    # Written here because communicate(), which also writes, is called only at the end.
    process.stdin.write(json.dumps(cookies))
    process.stdin.close()
    process.stdin = None
    try:
        yield Crowd(process)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Stage:
    """The service and the mailing that all measurements share."""

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
        """Wait for the end; return letters per second. Unless each was sent once, raise MeasurementFailed."""
        run = self.service.wait_for_end(mailing, TIMEOUT)
        assert run.finished_at is not None
        time.sleep(0.5)  # smtp-sink prints its count at intervals
        arrived = self.testbed.sink.letters - before
        # The simulated people may have added clients, so compare with the planned number.
        check_all_sent(self.service.read_ledger(run), run.planned, arrived)
        return run.planned / (run.finished_at - run.started_at).total_seconds()


def crowd(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure 50 people using lists, forms and live pages: alone, during a mailing, and during two faults."""
    with testbed.service(POSTGRESQL) as service, web_server(service) as port:
        send(testbed, service, WARM_UP)
        owner = service.add_owner(sizes.crowd_letters)
        stage = Stage(testbed, service, port, sign_people_in(service, owner), owner, sizes.crowd_letters)
        with clicking(port, sizes.crowd_seconds / 2, stage.cookies) as people:
            idle = people.collect()
        alone = stage.finish_mailing(*stage.start_mailing())
        yield from measure_during_mailing(stage, sizes.crowd_seconds, idle, alone)
        service.is_supervised = True
        yield measure_during_fault(
            stage, "Redis stopped", sizes, lambda: service.stop_redis_for(REDIS_DOWN_SECONDS)
        )
        yield measure_during_fault(stage, "the database restarted", sizes, testbed.postgresql.restart)


def sign_people_in(service: Service, owner: int) -> list[str]:
    """Return session cookies: some for `owner`, the others for users with a few clients and mailings each."""
    owners = []
    with Session(service.engine) as session:
        for _ in range(PEOPLE - WATCHERS):
            own = service.add_owner(OWN_ROWS)
            for statement in FILL[:-1]:
                values = {"owner": own, "count": OWN_ROWS}
                named = {key: value for key, value in values.items() if f":{key}" in statement}
                session.execute(text(statement), named)
            owners.append(own)
        session.execute(text(FILL[-1]))
    watching = sign_in(service, owner)
    return [watching] * WATCHERS + [sign_in(service, own) for own in owners]


def measure_during_mailing(stage: Stage, seconds: float, idle: list[Click], alone: float) -> Iterator[Row]:
    """Send mailings one after another while people click."""
    intervals: list[tuple[float, float]] = []
    rates = []
    with clicking(stage.port, seconds, stage.cookies) as people:
        deadline = time.time() + seconds
        time.sleep(2)
        while not intervals or time.time() < deadline - (intervals[0][1] - intervals[0][0]):
            started_at = time.time()
            rates.append(stage.finish_mailing(*stage.start_mailing()))
            intervals.append((started_at, time.time()))
        busy = [
            click for click in people.collect() if any(start <= click[0] <= end for start, end in intervals)
        ]
    ratio = p95(busy) / p95(idle)
    errors = count_errors(idle) + count_errors(busy)
    yield Row(
        f"{PEOPLE} people clicking while {stage.letters:,} letters are sent: 95% of responses within",
        f"{p95(busy):.0f} ms ({ratio:.2f} x {p95(idle):.0f} ms without letters), "
        f"{len(busy) / sum(end - start for start, end in intervals):.0f} clicks/s, {format_errors(errors)}",
        "<= 3 x, no error",
        "",
        ratio <= MAX_SLOWDOWN and not errors,
        {"idle_ms": summarize(idle), "busy_ms": summarize(busy), "errors": errors},
    )
    rate = len(rates) / sum(1 / rate for rate in rates)
    yield Row(
        "letters per second during this, compared with when no one clicks",
        f"{rate / alone:.2f} x ({rate:,.0f}/s vs. {alone:,.0f}/s)",
        ">= 0.7 x",
        "",
        rate >= MIN_RATE * alone,
        {"alone": alone, "during": rates},
    )


def measure_during_fault(stage: Stage, what: str, sizes: Sizes, fault: Callable[[], None]) -> Row:
    """Send a mailing while people click, and cause a fault partway through."""
    with clicking(stage.port, sizes.crowd_seconds / 2, stage.cookies) as people:
        time.sleep(2)
        mailing, before = stage.start_mailing()
        stage.wait_for_share(before, 0.25)
        down_at = time.time()
        fault()
        back_at = time.time() + RECOVERY_SECONDS
        stage.finish_mailing(mailing, before)
        clicks = people.collect()
    during = [click for click in clicks if down_at - 1 <= click[0] <= back_at]
    others = [click for click in clicks if not down_at - 1 <= click[0] <= back_at]
    # Without a database, pages return an error. Without Redis, every page must still work.
    errors = count_errors(others) + (count_errors(during) if what.startswith("Redis") else Counter())
    fault_result = f"{p95(during):.0f} ms, {format_errors(count_errors(during))}"
    return Row(
        f"the same with {what} partway through",
        f"all {stage.letters:,} letters sent once; "
        f"95% within {p95(others):.0f} ms, {format_errors(errors)}; "
        f"during the {back_at - down_at:.1f} s of the fault: {fault_result}",
        "no error" if what.startswith("Redis") else "no error except during the fault",
        "",
        not errors,
        {"clicks": len(clicks), "during": summarize(during), "others": summarize(others)},
    )


def p95(clicks: list[Click]) -> float:
    """Return the 95th percentile of response times in milliseconds."""
    times = sorted(click[1] for click in clicks)
    return times[int(len(times) * 0.95)] if times else 0.0


def count_errors(clicks: list[Click]) -> Counter[str]:
    """Count the error responses by status and kind."""
    return Counter(f"{status} {kind}" for _, _, status, kind in clicks if status not in (200, 302, 304))


def format_errors(errors: Counter[str]) -> str:
    if not errors:
        return "no error"
    return (
        f"{errors.total()} errors (" + ", ".join(f"{n} x {what}" for what, n in errors.most_common(5)) + ")"
    )


def summarize(clicks: list[Click]) -> dict[str, object]:
    """Return count, median and 95th percentile (milliseconds) for each kind of click."""
    kinds: dict[str, list[Click]] = {}
    for click in clicks:
        kinds.setdefault(click[3], []).append(click)
    summary: dict[str, object] = {
        kind: [len(group), round(sorted(click[1] for click in group)[len(group) // 2]), round(p95(group))]
        for kind, group in sorted(kinds.items())
    }
    return summary | {"all": [len(clicks), round(p95(clicks))]}


ROWS = {"crowd": crowd}
