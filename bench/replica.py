"""Benchmark how much load a read replica of PostgreSQL could take over, and how far it lags behind."""

import contextlib
import http.client
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import psycopg

from bench.crowd import PEOPLE, Setup, sign_people_in, simulate_users
from bench.letter_cost import Usage
from bench.pages import web_server
from bench.people import PageRequest
from bench.process_usage import find_parent, list_tree, read_cpu_seconds
from bench.rows import Row, Sizes
from bench.sending import WARM_UP, send, send_mailing
from bench.service import MeasurementFailed, Service
from bench.signed_in import request
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow

SAMPLE_SECONDS = 0.1
START_SECONDS = 60
REQUESTS = 40  # for each page
ENGINE, PAGES = "engine", "pages"  # the purposes of connections
# The pages of bench.people that may show data from a second ago. All others are forms or write data.
PATHS = {
    "home page": "/",
    "clients": "/clients/",
    "search": "/clients/?q=client7",
    "mailings": "/mailings/",
    "mailing": "/mailings/{mailing}",
    "live": "/mailings/{mailing}/progress",
    "log": "/mailings/{mailing}/log",
    "all logs": "/logs/",
    "messages": "/messages/",
}
PROCESSES = """SELECT pid, CASE WHEN backend_type <> 'client backend' THEN backend_type
        WHEN application_name = '' THEN %s ELSE application_name END
    FROM pg_stat_activity WHERE datname = current_database() OR datname IS NULL"""
LAG = """SELECT coalesce(extract(epoch FROM replay_lag), 0)::float * 1000,
        pg_wal_lsn_diff(pg_current_wal_flush_lsn(), replay_lsn)::float / 1e6
    FROM pg_stat_replication WHERE state = 'streaming'"""


def replica(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure the database's load while people use the site during mailings, then the lag of a replica."""
    with testbed.service(POSTGRESQL) as service:
        send(testbed, service, WARM_UP)
        service.environment["PGAPPNAME"] = PAGES
        with web_server(service) as port:
            yield measure_shares(testbed, service, port, sizes)
        yield measure_lag(testbed, service, sizes.letters * 2)


def measure_shares(testbed: Testbed, service: Service, port: int, sizes: Sizes) -> Row:
    """Compare the database's CPU time for the engine with that for pages."""
    owner = service.add_owner(sizes.crowd_letters)
    setup = Setup(testbed, service, port, sign_people_in(service, owner), owner, sizes.crowd_letters)
    with simulate_users(port, sizes.crowd_seconds, setup.cookies) as people:
        time.sleep(2)
        started_at = time.time()
        with sample_processes(service) as used:
            mailing, letters = 0, 0
            while time.time() < started_at + sizes.crowd_seconds * 0.75:
                mailing, before = setup.start_mailing()
                setup.finish_mailing(mailing, before)
                letters += sizes.crowd_letters
        ended_at = time.time()
        requests = [found for found in people.collect() if started_at <= found[0] <= ended_at]
    service.pause_workers()
    costs = measure_pages(service, port, setup.cookies[0], mailing)
    service.resume_workers()
    looking = sum(costs.get(kind, 0) for _, _, _, kind in requests)
    total, engine, pages = sum(used.values()), used[ENGINE], used[PAGES]
    parts = (
        f"engine {engine / total:.0%} ({engine / letters * 1e6:.0f} µs per letter)",
        f"pages {pages / total:.0%} ({pages / len(requests) * 1e3:.1f} ms per request), of which "
        f"{looking / pages:.0%} may be a second old",
        f"{letters:,} letters and {len(requests)} requests in {ended_at - started_at:.0f} s",
    )
    return Row(
        f"PostgreSQL's CPU time while letters are sent and {PEOPLE} people use the site",
        "; ".join(parts),
        "",
        "",
        None,
        {"seconds": used, "letters": letters, "requests": count_kinds(requests), "page_seconds": costs},
    )


def count_kinds(requests: list[PageRequest]) -> Counter[str]:
    return Counter(kind for _, _, _, kind in requests)


def measure_pages(service: Service, port: int, cookie: str, mailing: int) -> dict[str, float]:
    """Return the database's CPU seconds for one request of each page, without other work."""
    costs = {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for kind, path in PATHS.items():
        request(connection, path.format(mailing=mailing), cookie)
        with sample_processes(service) as used:
            for _ in range(REQUESTS):
                request(connection, path.format(mailing=mailing), cookie)
        costs[kind] = used[PAGES] / REQUESTS
    connection.close()
    return costs


def measure_lag(testbed: Testbed, service: Service, letters: int) -> Row:
    """Measure the lag of a replica while a mailing is being sent."""
    with testbed.postgresql.replica(testbed.directory / "replica") as url:
        mailing = service.add_mailing(service.add_owner(letters), utcnow())
        lags: list[tuple[float, float]] = []
        wait_for_replica(service)
        with psycopg.connect(url) as connection:
            server = find_parent(connection.info.backend_pid)
            wal, seconds = Usage.read(service).wal, read_cpu_seconds(list_tree(server))
            with sample_processes(service) as used, every_sample(service, lambda c: lags.extend(read_lag(c))):
                rate = send_mailing(testbed, service, mailing, letters)
            seconds = read_cpu_seconds(list_tree(server)) - seconds
        wal = Usage.read(service).wal - wal
    milliseconds, megabytes = zip(*lags, strict=True)
    sender, all_processes = (count / letters * 1e6 for count in (used["walsender"], sum(used.values())))
    return Row(
        "a replica on the same machine while two workers send: lag",
        f"median {statistics.median(milliseconds):.0f} ms, at most {max(milliseconds):.0f} ms and "
        f"{max(megabytes):.0f} MB; {wal / letters:,.0f} bytes per letter at {rate:,.0f}/s; CPU per letter: "
        f"replica {seconds / letters * 1e6:.0f} µs, first server {all_processes:.0f} µs, of which sending to "
        f"the replica {sender:.0f} µs",
        "",
        "",
        None,
        {"lags": lags, "wal": wal, "replica_seconds": seconds, "seconds": used, "rate": rate},
    )


def read_lag(connection: psycopg.Connection) -> list[tuple[float, float]]:
    """Return how far each replica is behind: milliseconds and megabytes."""
    return [(float(row[0]), float(row[1])) for row in connection.execute(LAG)]


def wait_for_replica(service: Service) -> None:
    with psycopg.connect(service.environment["DATABASE_URL"], autocommit=True) as connection:
        deadline = time.monotonic() + START_SECONDS
        while not (lags := read_lag(connection)) or lags[0][1] > 0:
            if time.monotonic() > deadline:
                raise MeasurementFailed("the replica did not catch up")
            time.sleep(SAMPLE_SECONDS)


@contextlib.contextmanager
def sample_processes(service: Service) -> Iterator[defaultdict[str, float]]:
    """Yield a dict that is filled at the end: the CPU seconds of the database's processes by purpose."""
    with service.engine.connect() as connection:
        observers = {int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())}
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    names: dict[int, str] = {}

    def read(connection: psycopg.Connection) -> None:
        observers.add(connection.info.backend_pid)
        known = bool(names)
        for pid, name in connection.execute(PROCESSES, (ENGINE,)):
            with contextlib.suppress(FileNotFoundError):  # the process has ended
                last[pid] = read_cpu_seconds([pid])
                names[pid] = name
                first.setdefault(pid, 0.0 if known else last[pid])

    used: defaultdict[str, float] = defaultdict(float)
    with every_sample(service, read):
        yield used
    for pid, name in names.items():
        if pid not in observers:
            used[name] += last[pid] - first[pid]


@contextlib.contextmanager
def every_sample(service: Service, read: Callable[[psycopg.Connection], None]) -> Iterator[None]:
    """Call `read` at the start, at regular intervals and at the end."""
    stopped = threading.Event()
    with psycopg.connect(service.environment["DATABASE_URL"], autocommit=True) as connection:
        read(connection)

        def watch() -> None:
            while not stopped.wait(SAMPLE_SECONDS):
                read(connection)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        read(connection)


ROWS = {"replica": replica}
