"""What is measured: each function makes one or more rows of the table."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bench import yardsticks
from bench.laboratory import POSTGRESQL, SQLITE, Laboratory
from bench.service import RunFailed, Service, check_all_sent
from skymailing import schedule
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import Attempt, DeliveryState, Mailing, MailingState

PATIENCE = 3600.0  # seconds; a run that takes longer has failed
WARM_UP = 2_000  # letters after which workers have their sessions and their window


@dataclass(frozen=True)
class Sizes:
    """How much is sent; `full` is what docs/benchmarks.md quotes."""

    letters: int
    loop_letters: int
    source_letters: int
    rounds: int
    distant_letters: int
    many: int
    starts: int
    crowd_letters: int
    crowd_seconds: int


QUICK = Sizes(20_000, 1_000, 20_000, 2, 10_000, 100_000, 3, 20_000, 30)
FULL = Sizes(50_000, 3_000, 100_000, 3, 20_000, 1_000_000, 10, 200_000, 120)


@dataclass(frozen=True)
class Row:
    """One line of the table; `bar` and `aim` are those of the design, `met` is None without a bar."""

    what: str
    measured: str
    bar: str
    aim: str
    met: bool | None
    figures: dict[str, object]


def send(laboratory: Laboratory, service: Service, count: int) -> float:
    """Send a mailing to `count` clients from start to finished ledger; return letters per second."""
    owner = service.add_owner(count)
    mailing = service.add_mailing(owner, utcnow())
    before = laboratory.sink.letters
    start = service.start_mailing(mailing)
    run = service.wait_for_end(mailing, PATIENCE)
    assert run.finished_at is not None
    check_all_sent(service.read_ledger(run), count, laboratory.sink.letters - before)
    return count / (run.finished_at - start).total_seconds()


def throughput(laboratory: Laboratory, sizes: Sizes) -> Iterator[Row]:
    """Letters per second on both databases, with the yardsticks in the same round."""
    found: dict[str, list[float]] = {name: [] for name in ("loop", "source", POSTGRESQL, SQLITE)}
    for _ in range(sizes.rounds):
        found["loop"].append(yardsticks.flask_mail_loop(laboratory.sink, sizes.loop_letters))
        for database in (POSTGRESQL, SQLITE):
            with laboratory.service(database) as service:
                send(laboratory, service, WARM_UP)
                found[database].append(send(laboratory, service, sizes.letters))
        found["source"].append(
            yardsticks.smtp_source(laboratory.postfix, laboratory.sink, sizes.source_letters)
        )
    yield Row(
        "yardsticks: Flask-Mail loop, smtp-source -s 10",
        f"{statistics.median(found['loop']):,.0f}/s, {statistics.median(found['source']):,.0f}/s",
        "",
        "",
        None,
        {"loop": found["loop"], "source": found["source"]},
    )
    yield _ratio_row(POSTGRESQL, found, 10, 20, 0.25, 0.4)
    yield _ratio_row(SQLITE, found, 6, 12, None, None)


def _ratio_row(
    database: str,
    found: dict[str, list[float]],
    loop_bar: float,
    loop_aim: float,
    source_bar: float | None,
    source_aim: float | None,
) -> Row:
    """Compare round by round, since the machine's speed may change from one to the next."""
    to_loop = _median_ratio(found[database], found["loop"])
    to_source = _median_ratio(found[database], found["source"])
    return Row(
        f"letters per second, 2 workers, {database}",
        f"{statistics.median(found[database]):,.0f}/s: "
        f"{to_loop:.1f} x the loop, {to_source:.2f} x smtp-source",
        f">= {loop_bar} x" + (f", >= {source_bar} x" if source_bar else ""),
        f"{loop_aim} x" + (f", {source_aim} x" if source_aim else ""),
        to_loop >= loop_bar and to_source >= (source_bar or 0),
        {"letters_per_second": found[database], "to_loop": to_loop, "to_source": to_source},
    )


def _median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def distance(laboratory: Laboratory, sizes: Sizes) -> Iterator[Row]:
    """Letters per second to a server 20 ms away, default settings."""
    with laboratory.proxy(20) as port, laboratory.service(POSTGRESQL, port) as service:
        rate = send(laboratory, service, sizes.distant_letters)
    yield Row(
        "letters per second, 20 ms round trip to the server, PostgreSQL",
        f"{rate:,.0f}/s",
        ">= 500/s",
        "1,000/s",
        rate >= 500,
        {"letters_per_second": rate, "letters": sizes.distant_letters},
    )


def growth(laboratory: Laboratory, sizes: Sizes) -> Iterator[Row]:
    """Cost per letter and memory at many recipients against 10,000, on both databases."""
    few, many = 10_000, sizes.many
    for database in (POSTGRESQL, SQLITE):
        with laboratory.service(database) as service:
            send(laboratory, service, WARM_UP)
            small = [send(laboratory, service, few) for _ in range(3)]
            large = send(laboratory, service, many)
            # The same again afterwards, since a machine shared with others changes its pace.
            small += [send(laboratory, service, few) for _ in range(3)]
            memory = service.peak_memory
        ratio = statistics.median(small) / large
        yield Row(
            f"cost per letter at {many:,} against {few:,} recipients, {database}",
            f"{ratio:.2f} x ({1000 / large:.3f} ms, {large:,.0f}/s)",
            "<= 1.2 x",
            "1.05 x",
            ratio <= 1.2,
            {"few": small, "many": large, "ratio": ratio},
        )
        yield Row(
            f"worker memory, {many:,} recipients, {database}",
            f"{memory:.0f} MB" if memory else "unknown here",
            "<= 200 MB",
            "120 MB",
            None if memory is None else memory <= 200,
            {"megabytes": memory},
        )


def planning(laboratory: Laboratory, _sizes: Sizes) -> Iterator[Row]:
    """Time to plan a million recipients; always a million, as it takes seconds."""
    for database in (POSTGRESQL, SQLITE):
        with laboratory.service(database) as service:
            mailing = service.add_mailing(service.add_owner(1_000_000), utcnow())
            with service.app.app_context():
                start = time.perf_counter()
                run_id = plan.start_due_run(mailing, utcnow())
                seconds = time.perf_counter() - start
            run = service.find_run(mailing)
            if run is None or run.id != run_id or run.planned != 1_000_000:
                raise RunFailed(f"a million was to be planned: {run and run.planned}")
            cancel(service, mailing)
        yield Row(
            f"1,000,000 recipients planned, {database}",
            f"{seconds:.1f} s",
            "<= 15 s",
            "8 s",
            seconds <= 15,
            {"seconds": seconds},
        )


def first_letter(laboratory: Laboratory, sizes: Sizes) -> Iterator[Row]:
    """How late the first letter of a scheduled mailing is, by scheduler and workers."""
    for database in (POSTGRESQL, SQLITE):
        with laboratory.service(database) as service:
            delays = [_start_delay(service, 3 + number / sizes.starts) for number in range(sizes.starts)]
        yield Row(
            f"first letter after a scheduled start, {database}",
            f"{statistics.median(delays):.2f} s, at most {max(delays):.2f} s of {len(delays)}",
            "<= 2 s",
            "1 s",
            max(delays) <= 2,
            {"seconds": delays},
        )


def _start_delay(service: Service, ahead: float) -> float:
    """Return the seconds from a scheduled start to the record of the first letter."""
    owner = service.add_owner(10)
    starts_at = utcnow() + timedelta(seconds=ahead)
    mailing_id = service.add_mailing(owner, starts_at)
    with service.app.app_context(), Session(service.engine) as session:
        mailing = session.get(Mailing, mailing_id)
        assert mailing is not None
        schedule.schedule_start(mailing)
    service.wait_for_end(mailing_id, 60)
    with Session(service.engine) as session:
        first = session.scalar(select(func.min(Attempt.at)).where(Attempt.mailing_id == mailing_id))
    if first is None:
        raise RunFailed("a scheduled mailing sent nothing")
    return float((first - starts_at).total_seconds())


def fairness(laboratory: Laboratory, sizes: Sizes) -> Iterator[Row]:
    """How long a mailing of 100 takes that is started while one of 200,000 is running."""
    for database in (POSTGRESQL, SQLITE):
        with laboratory.service(database) as service:
            times = _small_beside_large(service, sizes.starts)
        yield Row(
            f"a mailing of 100 while one of 200,000 is running, {database}",
            f"{statistics.median(times):.1f} s, at most {max(times):.1f} s of {len(times)}",
            "<= 10 s",
            "",
            max(times) <= 10,
            {"seconds": times},
        )


def _small_beside_large(service: Service, count: int) -> list[float]:
    """Return the seconds that each of `count` small mailings took, one after the other."""
    large = service.add_mailing(service.add_owner(200_000), utcnow())
    service.start_mailing(large)
    service.wait_until(lambda: _sent(service, large) >= WARM_UP, "the large one runs", 120)
    times = []
    for _ in range(count):
        small = service.add_mailing(service.add_owner(100), utcnow())
        start = service.start_mailing(small)
        run = service.wait_for_end(small, 120)
        assert run.finished_at is not None
        check_all_sent(service.read_ledger(run), 100, 100)
        times.append((run.finished_at - start).total_seconds())
    run_of_large = service.find_run(large)
    if run_of_large is None or run_of_large.finished_at:
        raise RunFailed("the mailing of 200,000 was over before the small ones")
    cancel(service, large)
    return times


def _sent(service: Service, mailing_id: int) -> int:
    run = service.find_run(mailing_id)
    return service.read_ledger(run).counts.get(DeliveryState.SENT, 0) if run else 0


def cancel(service: Service, mailing_id: int) -> None:
    """Cancel a running mailing, wait until its run is over, and check that its ledger closes."""
    with Session(service.engine) as session:
        session.execute(update(Mailing).where(Mailing.id == mailing_id).values(state=MailingState.CANCELLED))
    run = service.wait_for_end(mailing_id, 300)
    ledger = service.read_ledger(run)
    open_states = ledger.counts.keys() - {DeliveryState.SENT, DeliveryState.CANCELLED}
    if open_states or sum(ledger.counts.values()) != ledger.planned:
        raise RunFailed(f"a cancelled run's ledger does not close: {ledger}")
    if ledger.attempts != ledger.counts.get(DeliveryState.SENT, 0):
        raise RunFailed(f"attempts are missing: {ledger}")


ROWS = {
    "throughput": throughput,
    "distance": distance,
    "growth": growth,
    "planning": planning,
    "first-letter": first_letter,
    "fairness": fairness,
}
