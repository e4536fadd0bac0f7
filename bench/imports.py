"""Benchmark imports of clients, on both databases.

`python -m bench.imports [ROWS]` also measures the memory that an import needs and, on SQLite, an import of
the same rows from a workbook. A file with new clients is imported twice; the second import changes nothing.
"""

import gc
import io
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.apps import open_apps
from bench.rows import Row, Sizes
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.clients import imports, tasks
from skymailing.clients.files.opening import open_file
from skymailing.extensions import db
from skymailing.models import ClientImport, User
from tests.support.workbooks import write_sheet, write_xlsx

ROWS_PER_FILE = 100_000
REQUIRED = {POSTGRESQL: (20_000, 40_000), SQLITE: (30_000, 60_000)}  # new rows per second, and the goal
HEADERS = ["email", "full name", "comment", "city", "phone", "born"]


def import_files(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Import a file of new clients, then the same file again."""
    for database, (required, goal) in REQUIRED.items():
        with testbed.service(database) as service:
            service.pause_workers()
            with service.app.app_context():
                file, owner_id = write_csv(ROWS_PER_FILE), add_owner("csv@x.example")
                new, known = (ROWS_PER_FILE / run_import(owner_id, file, ROWS_PER_FILE) for _ in range(2))
        yield Row(
            f"rows of a file imported per second, new and known, {database}",
            f"{new:,.0f}, {known:,.0f}",
            f">= {required:,} new",
            f"{goal:,}",
            new >= required,
            {"new": new, "known": known},
        )


def list_rows(count: int) -> Iterator[list[str]]:
    yield HEADERS
    for number in range(count):
        email = f"client{number}@shop{number % 500}.example"
        born = f"1990-05-{number % 28 + 1:02d}"
        yield [email, f"Анна Петрова {number}", "", "Нижний Новгород", f"+7999{number:07d}", born]


def write_csv(count: int) -> BinaryIO:
    return io.BytesIO("".join(",".join(row) + "\n" for row in list_rows(count)).encode())


def run_import(owner_id: int, source: BinaryIO, count: int) -> float:
    """Import the file as a worker does; return the time in seconds."""
    start = time.perf_counter()
    with open_file(source) as opened:
        created = imports.create_import(owner_id, "clients.csv", imports.inspect_table(opened.file))
        db.session.commit()
        import_id = created.id
        tasks.run_import_slice(import_id, opened.file)
    seconds = time.perf_counter() - start
    db.session.expire_all()
    finished = db.session.get_one(ClientImport, import_id)
    done = finished.rows_done
    assert done == count, f"{done} of {count} rows"
    return seconds


def add_owner(email: str) -> int:
    owner = User(email=email, password_hash="", name="")
    db.session.add(owner)
    db.session.commit()
    return owner.id


def reset_peak_memory() -> float:
    """Reset the peak memory on Linux; return the current memory in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return read_memory("VmRSS")


def read_memory(name: str) -> float:
    """Return a value of /proc/self/status in MB."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def measure(count: int, *, has_workbook: bool) -> None:
    name = db.engine.dialect.name
    csv = write_csv(count)
    owner_id = add_owner("csv@x.example")
    before = reset_peak_memory()
    first = run_import(owner_id, csv, count)
    again = run_import(owner_id, csv, count)
    growth = read_memory("VmHWM") - before
    print(
        f"{name}: {count / first:,.0f} new rows per second, {count / again:,.0f} known rows; "
        f"at most {growth:.0f} MB more than before"
    )
    if has_workbook:
        workbook = io.BytesIO(write_xlsx({"Clients": write_sheet(list_rows(count))}))
        seconds = run_import(add_owner("xlsx@x.example"), workbook, count)
        # Measured again because the table now contains the other owners' clients, too.
        as_csv = run_import(add_owner("csv-again@x.example"), csv, count)
        print(f"{name}: the same rows as XLSX take {seconds / as_csv:.2f} x the time")


def main(arguments: list[str]) -> None:
    gc.freeze()  # as in a worker
    count = int(arguments[0]) if arguments else 200_000
    for _app in open_apps("imports"):
        measure(count, has_workbook=db.engine.dialect.name == "sqlite")


ROWS = {"imports": import_files}

if __name__ == "__main__":
    main(sys.argv[1:])
