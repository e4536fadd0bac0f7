"""Benchmark sending: throughput, latency, growth, planning, first letter and fairness."""

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bench import baselines
from bench.process_usage import read_peak_memory
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service, check_all_sent
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing import schedule
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import Attempt, DeliveryState, Mailing, MailingState

TIMEOUT = 3600.0  # seconds; a run that takes longer is a failure
WARM_UP = 2_000  # letters with which workers reach their full number of sessions and window size


def send(testbed: Testbed, service: Service, count: int) -> float:
    """Send a mailing to `count` clients and wait until its ledger is complete; return letters per second."""
    mailing = service.add_mailing(service.add_owner(count), utcnow())
    return send_mailing(testbed, service, mailing, count)


def send_mailing(testbed: Testbed, service: Service, mailing: int, count: int) -> float:
    """Send an existing mailing with `count` recipients, as `send` does."""
    before = testbed.sink.letters
    start = service.start_mailing(mailing)
    run = service.wait_for_end(mailing, TIMEOUT)
    assert run.finished_at is not None
    check_all_sent(service.read_ledger(run), count, testbed.sink.letters - before)
    return count / (run.finished_at - start).total_seconds()


def throughput(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure letters per second on both databases, with the baselines in the same rounds."""
    rates: dict[str, list[float]] = {name: [] for name in ("loop", "source", POSTGRESQL, SQLITE)}
    for _ in range(sizes.rounds):
        rates["loop"].append(baselines.measure_flask_mail_loop(testbed.sink, sizes.loop_letters))
        for database in (POSTGRESQL, SQLITE):
            with testbed.service(database) as service:
                send(testbed, service, WARM_UP)
                rates[database].append(send(testbed, service, sizes.letters))
        rates["source"].append(
            baselines.measure_smtp_source(testbed.postfix, testbed.sink, sizes.source_letters)
        )
    yield Row(
        "baselines: Flask-Mail loop, smtp-source -s 10",
        f"{statistics.median(rates['loop']):,.0f}/s, {statistics.median(rates['source']):,.0f}/s",
        "",
        "",
        None,
        {"loop": rates["loop"], "source": rates["source"]},
    )
    yield _make_ratio_row(POSTGRESQL, rates, (15, 20), (0.45, 0.55))
    yield _make_ratio_row(SQLITE, rates, (18, 24), None)


def _make_ratio_row(
    database: str, rates: dict[str, list[float]], loop: tuple[int, int], source: tuple[float, float] | None
) -> Row:
    """Return the row that compares `database` with both baselines; each pair is (required, goal).

    Rates are compared round by round, because the machine's speed may change between rounds.
    """
    to_loop = _compute_median_ratio(rates[database], rates["loop"])
    to_source = _compute_median_ratio(rates[database], rates["source"])
    return Row(
        f"letters per second, 2 workers, {database}",
        f"{statistics.median(rates[database]):,.0f}/s: "
        f"{to_loop:.1f} x the loop, {to_source:.2f} x smtp-source",
        f">= {loop[0]} x" + (f", >= {source[0]} x" if source else ""),
        f"{loop[1]} x" + (f", {source[1]} x" if source else ""),
        to_loop >= loop[0] and to_source >= (source[0] if source else 0),
        {"letters_per_second": rates[database], "to_loop": to_loop, "to_source": to_source},
    )


def _compute_median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(our_rate / their_rate for our_rate, their_rate in zip(ours, theirs, strict=True))


def distance(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure letters per second to a server 20 ms away, with default settings."""
    with testbed.proxy(20) as port, testbed.service(POSTGRESQL, port) as service:
        first = send(testbed, service, sizes.distant_letters)
        later = send(testbed, service, sizes.distant_letters)
    yield Row(
        "letters per second, 20 ms round trip to the server, PostgreSQL",
        f"{later:,.0f}/s, {first:,.0f}/s for the first mailing of new workers",
        ">= 1,000/s",
        "2,000/s",
        min(first, later) >= 1000,
        {"letters_per_second": later, "first": first, "letters": sizes.distant_letters},
    )


def growth(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare the cost per letter with many recipients and with 10,000; measure memory."""
    few, many = 10_000, sizes.many
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            send(testbed, service, WARM_UP)
            small = [send(testbed, service, few) for _ in range(3)]
            large = send(testbed, service, many)
            # Measured before and after, because the speed of a shared machine changes.
            small += [send(testbed, service, few) for _ in range(3)]
            memory = read_peak_memory(service.worker_pids)
        ratio = statistics.median(small) / large
        yield Row(
            f"cost per letter at {many:,} compared with {few:,} recipients, {database}",
            f"{ratio:.2f} x ({1000 / large:.3f} ms, {large:,.0f}/s)",
            "<= 1.1 x",
            "1.0 x",
            ratio <= 1.1,
            {"few": small, "many": large, "ratio": ratio},
        )
        yield Row(
            f"worker memory, {many:,} recipients, {database}",
            f"{memory:.0f} MB" if memory else "not available",
            "<= 132 MB",
            "100 MB",
            None if memory is None else memory <= 132,
            {"megabytes": memory},
        )


def planning(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure the time to plan a million recipients, even in quick runs, because it takes only seconds."""
    for database, required, goal in ((POSTGRESQL, 9, 6), (SQLITE, 3, 2)):
        with testbed.service(database) as service:
            mailing = service.add_mailing(service.add_owner(1_000_000), utcnow())
            with service.app.app_context():
                start = time.perf_counter()
                run_id = plan.start_due_run(mailing, utcnow())
                seconds = time.perf_counter() - start
            run = service.find_run(mailing)
            if run is None or run.id != run_id or run.planned != 1_000_000:
                raise MeasurementFailed(f"planned {run and run.planned} instead of a million")
            cancel(service, mailing)
        yield Row(
            f"1,000,000 recipients planned, {database}",
            f"{seconds:.1f} s",
            f"<= {required} s",
            f"{goal} s",
            seconds <= required,
            {"seconds": seconds},
        )


def first_letter(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure the delay of a scheduled mailing's first letter."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            delays = [_start_delay(service, 3 + number / sizes.starts) for number in range(sizes.starts)]
        yield Row(
            f"first letter after a scheduled start, {database}",
            f"{statistics.median(delays):.2f} s, at most {max(delays):.2f} s in {len(delays)} starts",
            "<= 1.2 s",
            "0.5 s",
            statistics.median(delays) <= 1.2,
            {"seconds": delays},
        )


def _start_delay(service: Service, ahead: float) -> float:
    """Return the seconds from a scheduled start until the first attempt is recorded."""
    owner = service.add_owner(10)
    starts_at = utcnow() + timedelta(seconds=ahead)
    mailing_id = service.add_mailing(owner, starts_at)
    with service.app.app_context():
        schedule.schedule_start(mailing_id, starts_at)
    service.wait_for_end(mailing_id, 60)
    with Session(service.engine) as session:
        first = session.scalar(select(func.min(Attempt.at)).where(Attempt.mailing_id == mailing_id))
    if first is None:
        raise MeasurementFailed("a scheduled mailing sent nothing")
    return float((first - starts_at).total_seconds())


def fairness(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure how long a mailing of 100 takes while one of 200,000 is running."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            times = _time_small_mailings(service, sizes.starts)
        yield Row(
            f"a mailing of 100 while one of 200,000 is running, {database}",
            f"{statistics.median(times):.1f} s, at most {max(times):.1f} s in {len(times)} mailings",
            "<= 10 s",
            "",
            max(times) <= 10,
            {"seconds": times},
        )


def _time_small_mailings(service: Service, count: int) -> list[float]:
    """Run `count` small mailings one after another; return the seconds that each takes."""
    large = service.add_mailing(service.add_owner(200_000), utcnow())
    service.start_mailing(large)
    service.wait_until(lambda: count_sent(service, large) >= WARM_UP, "the large mailing to start", 120)
    times = []
    for _ in range(count):
        small = service.add_mailing(service.add_owner(100), utcnow())
        start = service.start_mailing(small)
        run = service.wait_for_end(small, 120)
        assert run.finished_at is not None
        check_all_sent(service.read_ledger(run), 100, 100)
        times.append((run.finished_at - start).total_seconds())
    large_run = service.find_run(large)
    if large_run is None or large_run.finished_at:
        raise MeasurementFailed("the mailing of 200,000 ended before the small ones")
    cancel(service, large)
    return times


def count_sent(service: Service, mailing_id: int) -> int:
    run = service.find_run(mailing_id)
    return service.read_ledger(run).counts.get(DeliveryState.SENT, 0) if run else 0


def cancel(service: Service, mailing_id: int) -> None:
    """Cancel a running mailing, wait for the end of its run, and check that its ledger balances."""
    with Session(service.engine) as session:
        session.execute(update(Mailing).where(Mailing.id == mailing_id).values(state=MailingState.CANCELLED))
    run = service.wait_for_end(mailing_id, 300)
    ledger = service.read_ledger(run)
    unexpected_states = ledger.counts.keys() - {DeliveryState.SENT, DeliveryState.CANCELLED}
    if unexpected_states or sum(ledger.counts.values()) != ledger.planned:
        raise MeasurementFailed(f"the ledger of a cancelled run does not balance: {ledger}")
    if ledger.attempts != ledger.counts.get(DeliveryState.SENT, 0):
        raise MeasurementFailed(f"attempts are missing: {ledger}")


ROWS = {
    "throughput": throughput,
    "distance": distance,
    "growth": growth,
    "planning": planning,
    "first-letter": first_letter,
    "fairness": fairness,
}
