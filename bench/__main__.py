"""Run the benchmarks: python -m bench [--full] [ROW ...]; see README.md."""

import argparse
import dataclasses
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from bench import clicking, pages, past, report
from bench import rows as sending
from bench.laboratory import Laboratory
from bench.postfix import PostfixMissing
from bench.rows import FULL, QUICK, Row, Sizes
from bench.service import RunFailed

ROWS = sending.ROWS | pages.ROWS | past.ROWS | clicking.ROWS
SOAK = {"crowd"}  # takes minutes and is of `make soak`


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what bench/README.md says.")
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; by default all but crowd"
    )
    parser.add_argument("--full", action="store_true", help="with 1,000,000 recipients; an hour or so")
    for field in dataclasses.fields(Sizes):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(
            option, type=int, help=f"{getattr(QUICK, field.name)}, or {getattr(FULL, field.name)}"
        )
    parser.add_argument(
        "--directory", type=Path, help="where databases are kept meanwhile; a disk, not memory"
    )
    options = parser.parse_args(arguments)
    for name in options.rows:
        if name not in ROWS:
            parser.error(f"there is no row {name!r}")
    return options


def choose_sizes(options: argparse.Namespace) -> Sizes:
    """Return the sizes of a quick or a full run, with what was asked for in particular."""
    names = [field.name for field in dataclasses.fields(Sizes)]
    asked = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return dataclasses.replace(FULL if options.full else QUICK, **asked)


def measure(laboratory: Laboratory, names: list[str], sizes: Sizes) -> list[Row]:
    """Return all rows; one that fails is a row that says so, and the others go on."""
    rows: list[Row] = []
    for name in names:
        say(f"{name} ... (load {os.getloadavg()[0]:.1f})")
        start = time.monotonic()
        try:
            for row in ROWS[name](laboratory, sizes):
                rows.append(row)
                say(f"  {row.what}: {row.measured}")
        except RunFailed as failure:
            rows.append(Row(name, "failed", "", "", False, {"failure": str(failure)}))
            say(f"  failed: {failure}")
        say(f"  {time.monotonic() - start:.0f} s")
    return rows


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    logging.disable(logging.INFO)  # of migrations, for one
    command = " ".join(["python -m bench", *arguments])
    with tempfile.TemporaryDirectory(prefix="skymailing-bench-", dir=options.directory) as directory:
        try:
            laboratory = Laboratory(Path(directory))
        except PostfixMissing as missing:
            print(missing, file=sys.stderr)
            return 2
        with laboratory:
            rows = measure(
                laboratory, options.rows or [name for name in ROWS if name not in SOAK], choose_sizes(options)
            )
            machine = report.describe_machine(laboratory.postgresql.version)
    path = report.write(command, machine, rows)
    say(f"\n{path.read_text()}\n{path}")
    return 0 if all(row.met is not False for row in rows) else 1


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
