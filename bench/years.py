"""Benchmark pages and downloads with years of data, compared with a small database."""

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from bench.history import DELETED, YEARS, History, fill
from bench.history_sql import ADMIN, OWNER
from bench.pages import load, sign_in, web_server
from bench.rows import Row, Sizes
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.clock import utcnow

SMALL = 8_000  # deliveries
SQLITE_SHARE = 4  # SQLite gets a quarter of the deliveries
WARM_UP, SECONDS, TURNS = 0.2, 1.0, 2
MAX_PAGE_MS, MAX_RATIO = 100, 1.5
MAX_FIRST_ROWS_SECONDS = 1.0
DOWNLOAD_SECONDS = 6.0
# {last} is the number of the first owner's last client; the mailing and the run are the largest ones.
PAGES = {
    "home page": "/",
    **{
        f"clients, order {order}": f"/clients/?sort={order}"
        for order in ("-added", "added", "email", "-email", "name", "-name")
    },
    "clients, search: found first": "/clients/?q=client{last}@",
    "clients, search: found last": "/clients/?q=client17@d17",
    "clients, search: not found": "/clients/?q=qwertyzz",
    "clients, search: a frequent name": "/clients/?q=Белых",
    "mailings": "/mailings/",
    "a mailing": "/mailings/{mailing}",
    "a run": "/mailings/runs/{run}",
    "log": "/logs/",
    "log, address: found": "/logs/?q=client17@d17.example",
    "log, address: of a deleted client": "/logs/?q=client{deleted}@d{deleted}.example",
    "log, address: not found": "/logs/?q=missing@d7.example",
    "log, part of an address: not found": "/logs/?q=missing",
    "log of a run, address: found": "/mailings/{mailing}/log?run={run}&q=client17@d17.example",
    "log, an outcome without rows": "/logs/?outcome=unknown",
    "log, a rare outcome": "/logs/?outcome=failed",
    "log, an old period": "/logs/?since={old_day}&until={old_day}",
    "log, an old period and an outcome": "/logs/?since={old_day}&until={old_day}&outcome=deferred",
    "report, 30 days": "/reports/",
    "report, 365 days": "/reports/?since={year_ago}&until={today}",
    "a new mailing": "/mailings/new",
    "messages": "/messages/",
}
PANEL_PAGES = {
    "panel: users": "/manager/users/",
    "panel: mailings": "/manager/mailings/",
    "panel: runs": "/manager/runs/",
    "panel: a run": "/manager/runs/{run}/",
    "audit log": "/manager/audit/",
    "audit log, search: not found": "/manager/audit/?q=qwertyzz",
}
DOWNLOADS = {
    "clients.csv": "/clients/export",
    "log.csv": "/logs/log.csv",
    "report.csv, 365 days": "/reports/report.csv?since={year_ago}&until={today}",
}


@dataclass(frozen=True)
class Site:
    """A web server with a filled database, and the cookies of its first owner and its administrator."""

    port: int
    cookies: dict[int, str]
    values: dict[str, object]

    def measure(self, user: int, path: str) -> float:
        """Return the median time of a page in milliseconds."""
        path, cookie = quote(path.format(**self.values), safe="/?&=@"), self.cookies[user]
        load(self.port, path, WARM_UP, 1, cookie)
        return load(self.port, path, SECONDS, 1, cookie)["median_ms"]

    def download(self, path: str) -> tuple[float, float]:
        """Begin a download; return the seconds until its first rows, and the rows per second."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        start = time.perf_counter()
        connection.request("GET", path.format(**self.values), headers={"Cookie": self.cookies[OWNER]})
        response = connection.getresponse()
        rows = 0
        while not rows and (chunk := response.read1(65_536)):
            rows = chunk.count(b"\n")
        first = elapsed = time.perf_counter() - start
        while elapsed < DOWNLOAD_SECONDS and (chunk := response.read1(65_536)):
            rows += chunk.count(b"\n")
            elapsed = time.perf_counter() - start
        connection.close()
        return first, rows / elapsed


def years(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare all pages and downloads in a small database and in one with years of data."""
    for database in (POSTGRESQL, SQLITE):
        deliveries = sizes.years // (SQLITE_SHARE if database == SQLITE else 1)
        with ExitStack() as stack:
            small, large = (
                stack.enter_context(open_site(testbed, database, History.of(count)))
                for count in (SMALL, deliveries)
            )
            yield from compare(small, large, f"{deliveries:,} deliveries, {database}")


@contextmanager
def open_site(testbed: Testbed, database: str, history: History) -> Iterator[Site]:
    """Run a service with this history and its web server, with paused workers."""
    with testbed.service(database) as service:
        service.pause_workers()
        seconds = fill(service, history)
        print(f"  {history.deliveries:,} deliveries filled in {seconds:.0f} s", flush=True)
        with web_server(service) as port:
            yield Site(port, {user: sign_in(service, user) for user in (OWNER, ADMIN)}, fill_in(history))


def fill_in(history: History) -> dict[str, object]:
    """Return the values for the placeholders in the pages' URLs."""
    today = utcnow().date()
    return {
        "last": history.clients,
        "mailing": history.mailings,
        "run": history.largest_run,
        "deleted": DELETED,
        "today": today,
        "year_ago": today - timedelta(days=364),
        "old_day": today - timedelta(days=YEARS * 365 // 2),
    }


def compare(small: Site, large: Site, which: str) -> Iterator[Row]:
    """Compare all pages, in alternating rounds, and all downloads."""
    pages = {OWNER: PAGES, ADMIN: PANEL_PAGES}
    for user, name, path in ((user, *page) for user, own in pages.items() for page in own.items()):
        times = [[site.measure(user, path) for site in (small, large)] for _turn in range(TURNS)]
        few, many = (min(column) for column in zip(*times, strict=True))
        yield Row(
            f"{name}, {which}",
            f"{many:.0f} ms, {many / few:.2f} x ({few:.0f} ms)",
            f"<= {MAX_PAGE_MS} ms or <= {MAX_RATIO} x",
            "",
            many <= MAX_PAGE_MS or many / few <= MAX_RATIO,
            {"few_ms": few, "many_ms": many},
        )
    for name, path in DOWNLOADS.items():
        first, rate = large.download(path)
        yield Row(
            f"{name}, {which}",
            f"first rows after {first:.2f} s, {rate:,.0f} rows/s",
            f"<= {MAX_FIRST_ROWS_SECONDS:.0f} s",
            "",
            first <= MAX_FIRST_ROWS_SECONDS,
            {"first": first, "rate": rate},
        )


ROWS = {"years": years}
