"""Convert the sheet with addresses in an .xlsx, .xls or .ods file to CSV: workbook_program.py FILE.

Runs as a separate program, because a file of 1.4 KB can make the reader request 512 GB and abort. It
imports none of our modules, so it starts quickly. The CSV goes to standard output, and the sheet's name to
standard error.
"""

import csv
import datetime
import io
import itertools
import resource
import sys
from typing import Any

MEMORY = 1 << 30  # bytes of address space
CPU_SECONDS = 60
OUTPUT = 128 << 20  # bytes of CSV
EXAMINED_ROWS = 200
PROTECTED, UNREADABLE, EMPTY, TOO_LARGE = 3, 4, 5, 6


def limit_resources() -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def to_text(value: object) -> str:
    """Return a cell as a person would type it: numbers without .0, dates in ISO format."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        has_time = value.time() != datetime.time()
        return value.isoformat(" ", "seconds") if has_time else value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def write_first_sheet_with_addresses(path: str) -> int:
    """Write one sheet; return the exit code."""
    import python_calamine  # here, so that the limits apply

    try:
        workbook = python_calamine.load_workbook(path)
        fallback = None
        for name in workbook.sheet_names:
            sheet = workbook.get_sheet_by_name(name)
            rows = sheet.iter_rows()
            start = list(itertools.islice(rows, EXAMINED_ROWS))
            if any("@" in cell for row in start for cell in row if isinstance(cell, str)):
                return write_rows(name, itertools.chain(start, rows))
            if fallback is None and any(cell != "" for row in start for cell in row):
                fallback = name, itertools.chain(start, rows)
        return write_rows(*fallback) if fallback else EMPTY
    except python_calamine.PasswordError:
        return PROTECTED
    except (python_calamine.CalamineError, ValueError, OSError, MemoryError):
        return UNREADABLE


def write_rows(name: str, rows: "itertools.chain[list[Any]]") -> int:
    output = io.TextIOWrapper(sys.stdout.buffer, "utf-8", errors="replace", newline="")
    writer = csv.writer(output)
    for row in rows:
        while row and row[-1] == "":
            row.pop()
        writer.writerow([cell if type(cell) is str else to_text(cell) for cell in row])
    output.flush()
    sys.stderr.write(name)
    return 0


if __name__ == "__main__":
    limit_resources()
    sys.exit(write_first_sheet_with_addresses(sys.argv[1]))
