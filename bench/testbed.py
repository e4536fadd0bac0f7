"""Provide the test bed shared by all rows: the mail sink, the database server and a directory for files."""

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.databases import PostgreSQL
from bench.postfix import Postfix, Sink, find_free_port, find_postfix, wait_for_port
from bench.service import PROJECT_DIR, Service, running_service

POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"


class Testbed:
    """A context manager that provides the shared servers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.postfix: Postfix = find_postfix()
        self.sink = Sink(self.postfix, directory)
        self._postgresql: PostgreSQL | None = None
        self._numbers = itertools.count(1)

    def __enter__(self) -> "Testbed":
        return self

    def __exit__(self, *_: object) -> None:
        self.sink.stop()
        if self._postgresql:
            self._postgresql.stop()

    @property
    def postgresql(self) -> PostgreSQL:
        """The PostgreSQL server, started on first use."""
        if self._postgresql is None:
            self._postgresql = PostgreSQL(self.directory)
        return self._postgresql

    @contextlib.contextmanager
    def service(
        self, database: str, mail_port: int | None = None, workers: int = 2, hosts: int = 1
    ) -> Iterator[Service]:
        """Run a new installation with an empty database; each host has its own DATA_DIR."""
        name = f"service-{next(self._numbers)}"
        directory = self.directory / name
        if database == POSTGRESQL:
            url = self.postgresql.create(name)
        else:
            url = f"sqlite:///{directory / 'skymailing.db'}"
        try:
            with running_service(directory, url, mail_port or self.sink.port, workers, hosts) as service:
                yield service
        finally:
            if database == POSTGRESQL:
                self.postgresql.drop(name)

    @contextlib.contextmanager
    def proxy(self, round_trip_ms: int) -> Iterator[int]:
        """Run a proxy that adds `round_trip_ms` to the round trip to the sink; yield its port."""
        port, log = find_free_port(), self.directory / "proxy.log"
        command = [sys.executable, "-m", "bench.proxy", str(port), str(self.sink.port), str(round_trip_ms)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=PROJECT_DIR, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_for_port(port, process, log)
            yield port
        finally:
            process.terminate()
            process.wait(10)
