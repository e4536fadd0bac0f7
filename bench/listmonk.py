"""Compare our CPU time per letter with that of listmonk, a newsletter program in Go, if it is installed."""

import contextlib
import functools
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.letters import BODY, CITY, SUBJECT
from bench.listmonk_setup import (
    DATABASE,
    INSERT_CAMPAIGN,
    INSERT_LIST,
    INSERT_SUBSCRIBERS,
    INSERT_TEMPLATE,
    list_settings,
    make_config,
    provide_pgcrypto,
)
from bench.postfix import find_free_port, wait_for_port
from bench.process_usage import list_tree, read_cpu_seconds
from bench.rows import Row, Sizes
from bench.sending import TIMEOUT, WARM_UP, send, send_mailing
from bench.service import MeasurementFailed
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow
from skymailing.delivery.rendering.letter import Content, Recipient, preview
from skymailing.models import MessageFormat

PATH_VARIABLE = "LISTMONK"
MISSING = (
    f"not measured: set {PATH_VARIABLE} to the path of listmonk 6, downloaded from its releases on GitHub or"
    " built from its sources with `make dist`"
)
MAX_RATIO, GOAL_RATIO = 1.0, 0.7
SINK_SECONDS = 1.5  # time for smtp-sink to print its last count


@dataclass(frozen=True)
class Cost:
    """The cost of a mailing: letters per second, and CPU seconds per 1,000 letters."""

    rate: float
    product: float
    database: float


class Listmonk:
    """A running listmonk that is tuned for throughput; start it with `running_listmonk`."""

    def __init__(self, testbed: Testbed, url: str, process: "subprocess.Popen[bytes]") -> None:
        self.pid = process.pid
        self._testbed = testbed
        self._url = url

    def add_subscribers(self, count: int) -> int:
        """Add a list with this number of subscribers; return its ID."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            list_id = _insert(connection, INSERT_LIST, {})
            attributes = json.dumps({"city": CITY})
            connection.execute(
                INSERT_SUBSCRIBERS, {"list": list_id, "count": count, "attributes": attributes}
            )
            connection.execute("ANALYZE")
        return list_id

    def send(self, list_id: int, count: int) -> float:
        """Send a campaign and wait until it has finished; return letters per second.

        The time until listmonk starts the campaign, up to five seconds, is not counted.
        """
        before = self._testbed.sink.letters
        with psycopg.connect(self._url) as connection:
            template = _insert(connection, INSERT_TEMPLATE, {})
            campaign = _insert(connection, INSERT_CAMPAIGN, make_letter() | {"template": template})
            connection.execute(
                "INSERT INTO campaign_lists (campaign_id, list_id) VALUES (%s, %s)", (campaign, list_id)
            )
        started_at, finished_at = self._wait_for_end(campaign)
        time.sleep(SINK_SECONDS)
        if (arrived := self._testbed.sink.letters - before) != count:
            raise MeasurementFailed(f"listmonk sent {arrived} of {count} letters")
        return count / (finished_at - started_at).total_seconds()

    def _wait_for_end(self, campaign: int) -> tuple[datetime, datetime]:
        deadline = time.monotonic() + TIMEOUT
        with psycopg.connect(self._url, autocommit=True) as connection:
            while time.monotonic() < deadline:
                row = connection.execute(
                    "SELECT started_at, updated_at, status FROM campaigns WHERE id = %s", (campaign,)
                ).fetchone()
                if row and row[2] == "finished":
                    return row[0], row[1]
                time.sleep(0.1)
        raise MeasurementFailed("listmonk did not finish a campaign")


def _insert(connection: psycopg.Connection, statement: str, values: dict[str, object]) -> int:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


def make_letter() -> dict[str, object]:
    """Return the same letter as ours, with listmonk's placeholders."""
    placeholders = Recipient("", "{{ .Subscriber.Name }}", {"city": "{{ .Subscriber.Attribs.city }}"})
    content = Content(SUBJECT, MessageFormat.MARKDOWN, BODY)
    letter = preview(content, placeholders, unsubscribe_url="{{ UnsubscribeURL . }}")
    return {"subject": letter.subject, "html": letter.html, "text": letter.text}


@contextlib.contextmanager
def running_listmonk(testbed: Testbed, binary: Path) -> Iterator[Listmonk]:
    """Run listmonk with an empty database on the same PostgreSQL server."""
    directory, port = testbed.directory / DATABASE, find_free_port()
    directory.mkdir(exist_ok=True)
    url = testbed.postgresql.create(DATABASE)
    config, log = directory / "config.toml", directory / "listmonk.log"
    config.write_text(make_config(conninfo_to_dict(url), port))
    command = [str(binary), "--config", str(config)]
    try:
        with log.open("wb") as output:
            with psycopg.connect(url, autocommit=True) as connection:
                provide_pgcrypto(connection, testbed.directory / "extensions")
                subprocess.run(
                    [*command, "--install", "--yes"], cwd=directory, stdout=output, stderr=output, check=True
                )
                for name, value in list_settings(testbed.sink.port).items():
                    values = (json.dumps(value), name)
                    connection.execute("UPDATE settings SET value = %s WHERE key = %s", values)
            process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=output)
        try:
            wait_for_port(port, process, log)
            yield Listmonk(testbed, url, process)
        finally:
            process.terminate()
            process.wait(30)
    except subprocess.CalledProcessError as error:
        raise MeasurementFailed(log.read_text(errors="replace")[-1500:]) from error
    finally:
        testbed.postgresql.drop(DATABASE)


def listmonk(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare the cost of the same letters with our service and with listmonk."""
    what = "CPU seconds of our processes per 1,000 letters, compared with listmonk's"
    if not (binary := shutil.which(os.environ.get(PATH_VARIABLE, ""))):
        yield Row(what, MISSING, f"<= {MAX_RATIO:.0f} x", f"{GOAL_RATIO} x", None, {})
        return
    ours, theirs = measure_both(testbed, Path(binary), sizes)
    figures: dict[str, object] = {"ours": list(map(vars, ours)), "listmonk": list(map(vars, theirs))}
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    comparison = Comparison.make(ours, theirs, lambda cost: cost.product)
    yield Row(
        what,
        f"{comparison.ratio:.2f} x ({comparison.ours:.3f} vs. {comparison.theirs:.3f}, listmonk {version})",
        f"<= {MAX_RATIO:.0f} x",
        f"{GOAL_RATIO} x",
        comparison.ratio <= MAX_RATIO,
        figures,
    )
    database = Comparison.make(ours, theirs, lambda cost: cost.database)
    both = Comparison.make(ours, theirs, lambda cost: cost.product + cost.database)
    yield Row(
        "the same for PostgreSQL, and for our processes and PostgreSQL combined",
        f"{database.ours:.3f} vs. {database.theirs:.3f}, {both.ratio:.2f} x",
        "",
        "",
        None,
        {"ratio": both.ratio},
    )
    rate = Comparison.make(ours, theirs, lambda cost: cost.rate)
    measured = f"{rate.ratio:.2f} x ({rate.ours:,.0f}/s vs. {rate.theirs:,.0f}/s)"
    yield Row("letters per second compared with listmonk", measured, "", "", None, {"ratio": rate.ratio})


@dataclass(frozen=True)
class Comparison:
    """The medians of a figure for both programs, and the median of the rounds' ratios."""

    ours: float
    theirs: float
    ratio: float

    @classmethod
    def make(cls, ours: list[Cost], theirs: list[Cost], get: Callable[[Cost], float]) -> "Comparison":
        pairs = [(get(our_cost), get(their_cost)) for our_cost, their_cost in zip(ours, theirs, strict=True)]
        return cls(
            statistics.median(ours for ours, _ in pairs),
            statistics.median(theirs for _, theirs in pairs),
            statistics.median(ours / theirs for ours, theirs in pairs),
        )


def measure_both(testbed: Testbed, binary: Path, sizes: Sizes) -> tuple[list[Cost], list[Cost]]:
    """Send mailings with our two workers and with listmonk in alternating rounds.

    Our costs include Redis and the scheduler. While listmonk sends, our workers and scheduler are paused.
    """
    count = sizes.letters
    ours, theirs = [], []
    with testbed.service(POSTGRESQL) as service, running_listmonk(testbed, binary) as listmonk:
        send(testbed, service, WARM_UP)
        listmonk.send(listmonk.add_subscribers(WARM_UP), WARM_UP)
        for _ in range(sizes.rounds):
            mailing = service.add_mailing(service.add_owner(count), utcnow())
            send_ours = functools.partial(send_mailing, testbed, service, mailing, count)
            ours.append(measure(testbed, service.pids, count, send_ours))
            service.pause_workers()
            send_theirs = functools.partial(listmonk.send, listmonk.add_subscribers(count), count)
            theirs.append(measure(testbed, [listmonk.pid], count, send_theirs))
            service.resume_workers()
    return ours, theirs


def measure(testbed: Testbed, pids: list[int], count: int, send_all: Callable[[], float]) -> Cost:
    """Send `count` letters and return their cost; `pids` are the sending program's processes."""

    def read_cpu_times() -> tuple[float, float]:
        tree = [descendant for pid in pids for descendant in list_tree(pid)]
        return read_cpu_seconds(tree), testbed.postgresql.read_cpu_seconds()

    before = read_cpu_times()
    rate = send_all()
    after = read_cpu_times()
    product, database = ((end - start) / count * 1_000 for start, end in zip(before, after, strict=True))
    return Cost(rate, product, database)


ROWS = {"listmonk": listmonk}
