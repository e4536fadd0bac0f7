"""The row about people who click while letters go out, also with Redis or the database taken away."""

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

from bench.crowd import Click
from bench.laboratory import POSTGRESQL, Laboratory
from bench.pages import FILL, sign_in, web_server
from bench.rows import PATIENCE, WARM_UP, Row, Sizes, send
from bench.service import PROJECT_DIR, RunFailed, Service, check_all_sent
from skymailing.clock import utcnow

PEOPLE = 50
WATCHERS = 5  # of them look at the mailing that is being sent
OWN_ROWS = 200  # clients, mailings and log lines of each of the others
THINK = 2.0  # seconds between two clicks, by half more or less; live pages ask no more often either
AWAY = 5.0  # seconds for which Redis is taken away
RECOVERY = 1.0  # seconds after the database is back
MOST_SLOWER = 3.0
LEAST_RATE = 0.7


@dataclass
class Crowd:
    """People at a web server, in a process of their own, since a moment."""

    process: subprocess.Popen[str]
    clicks: list[Click] = field(default_factory=list)

    def collect(self) -> list[Click]:
        """Wait until their time is up; return their clicks."""
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise RunFailed("the clicking ended with an error")
        self.clicks = [tuple(click) for click in json.loads(output)]
        return self.clicks


@contextlib.contextmanager
def clicking(port: int, seconds: float, cookies: list[str]) -> Iterator[Crowd]:
    """Let people click for a while."""
    command = [sys.executable, "-m", "bench.crowd", str(port), str(seconds), str(THINK)]
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    # Closed by communicate(), which would write it only when their time is up.
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
    """What all measurements share."""

    laboratory: Laboratory
    service: Service
    port: int
    cookies: list[str]
    owner: int
    letters: int

    def begin(self) -> tuple[int, int]:
        """Start a mailing to all; return its id and how many letters had arrived before."""
        before = self.laboratory.sink.letters
        mailing = self.service.add_mailing(self.owner, utcnow())
        self.service.start_mailing(mailing)
        return mailing, before

    def wait_for_share(self, before: int, share: float) -> None:
        """Return once so much of the mailing has arrived."""
        goal = before + share * self.letters
        self.service.wait_until(
            lambda: self.laboratory.sink.letters >= goal, f"{share:.0%} of the letters", PATIENCE
        )

    def end(self, mailing: int, before: int) -> float:
        """Return letters per second when the mailing is over; raises RunFailed unless all were sent once."""
        run = self.service.wait_for_end(mailing, PATIENCE)
        assert run.finished_at is not None
        time.sleep(0.5)  # smtp-sink tells its count now and then
        arrived = self.laboratory.sink.letters - before
        # Some of those who click have added clients meanwhile.
        check_all_sent(self.service.read_ledger(run), run.planned, arrived)
        return run.planned / (run.finished_at - run.started_at).total_seconds()


def crowd(laboratory: Laboratory, sizes: Sizes) -> Iterator[Row]:
    """50 people at lists, forms and live pages: alone, beside a large mailing, and through two faults."""
    with laboratory.service(POSTGRESQL) as service, web_server(service) as port:
        send(laboratory, service, WARM_UP)
        owner = service.add_owner(sizes.crowd_letters)
        stage = Stage(laboratory, service, port, make_people(service, owner), owner, sizes.crowd_letters)
        with clicking(port, sizes.crowd_seconds / 2, stage.cookies) as people:
            idle = people.collect()
        alone = stage.end(*stage.begin())
        yield from beside_a_mailing(stage, sizes.crowd_seconds, idle, alone)
        service.is_supervised = True
        yield through_a_fault(stage, "Redis stopped", sizes, lambda: service.take_redis_away(AWAY))
        yield through_a_fault(stage, "database restarted", sizes, laboratory.postgresql.restart)


def make_people(service: Service, owner: int) -> list[str]:
    """Return cookies of people who are signed in: some as `owner`, the others with a little of their own."""
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


def beside_a_mailing(stage: Stage, seconds: float, idle: list[Click], alone: float) -> Iterator[Row]:
    """Let letters go out all the time while people click."""
    sending: list[tuple[float, float]] = []
    rates = []
    with clicking(stage.port, seconds, stage.cookies) as people:
        ends = time.time() + seconds
        time.sleep(2)
        while not sending or time.time() < ends - (sending[0][1] - sending[0][0]):
            begun = time.time()
            rates.append(stage.end(*stage.begin()))
            sending.append((begun, time.time()))
        busy = [click for click in people.collect() if any(a <= click[0] <= b for a, b in sending)]
    ratio = p95(busy) / p95(idle)
    errors = errors_of(idle) + errors_of(busy)
    yield Row(
        f"{PEOPLE} people clicking while {stage.letters:,} letters go out: 95 % of answers within",
        f"{p95(busy):.0f} ms ({ratio:.2f} x {p95(idle):.0f} ms without letters), "
        f"{len(busy) / sum(b - a for a, b in sending):.0f} clicks/s, {tell(errors)}",
        "<= 3 x, no error",
        "",
        ratio <= MOST_SLOWER and not errors,
        {"idle_ms": describe(idle), "busy_ms": describe(busy), "errors": errors},
    )
    rate = len(rates) / sum(1 / rate for rate in rates)
    yield Row(
        "letters per second meanwhile, against nobody clicking",
        f"{rate / alone:.2f} x ({rate:,.0f}/s to {alone:,.0f}/s)",
        ">= 0.7 x",
        "",
        rate >= LEAST_RATE * alone,
        {"alone": alone, "meanwhile": rates},
    )


def through_a_fault(stage: Stage, what: str, sizes: Sizes, fault: Callable[[], None]) -> Row:
    """Let people click and letters go out while something is taken away in the middle of both."""
    with clicking(stage.port, sizes.crowd_seconds / 2, stage.cookies) as people:
        time.sleep(2)
        mailing, before = stage.begin()
        stage.wait_for_share(before, 0.25)
        away_at = time.time()
        fault()
        back_at = time.time() + RECOVERY
        stage.end(mailing, before)
        clicks = people.collect()
    meanwhile = [click for click in clicks if away_at - 1 <= click[0] <= back_at]
    others = [click for click in clicks if not away_at - 1 <= click[0] <= back_at]
    # Whoever clicks while there is no database is told so; nothing is asked of Redis that a page needs.
    errors = errors_of(others) + (errors_of(meanwhile) if what.startswith("Redis") else Counter())
    return Row(
        f"the same with the {what} in the middle",
        f"all {stage.letters:,} letters sent once; 95 % within {p95(others):.0f} ms, {tell(errors)}; in the "
        f"{back_at - away_at:.1f} s of the fault {p95(meanwhile):.0f} ms, {tell(errors_of(meanwhile))}",
        "no error" if what.startswith("Redis") else "no error but in these seconds",
        "",
        not errors,
        {"clicks": len(clicks), "meanwhile": describe(meanwhile), "others": describe(others)},
    )


def p95(clicks: list[Click]) -> float:
    times = sorted(click[1] for click in clicks)
    return times[int(len(times) * 0.95)] if times else 0.0


def errors_of(clicks: list[Click]) -> Counter[str]:
    """Count the answers that nobody wants to see, by status and kind."""
    return Counter(f"{status} {kind}" for _, _, status, kind in clicks if status not in (200, 302, 304))


def tell(errors: Counter[str]) -> str:
    if not errors:
        return "no error"
    return (
        f"{errors.total()} errors (" + ", ".join(f"{n} x {what}" for what, n in errors.most_common(5)) + ")"
    )


def describe(clicks: list[Click]) -> dict[str, object]:
    """Return how long each kind of click took: how many, median and 95th percentile in milliseconds."""
    kinds: dict[str, list[Click]] = {}
    for click in clicks:
        kinds.setdefault(click[3], []).append(click)
    return {
        kind: [len(found), round(sorted(click[1] for click in found)[len(found) // 2]), round(p95(found))]
        for kind, found in sorted(kinds.items())
    } | {"all": [len(clicks), round(p95(clicks))]}


ROWS = {"crowd": crowd}
