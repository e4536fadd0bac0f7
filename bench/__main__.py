"""Run the benchmarks: python -m bench [--full] [ROW ...]; see bench/README.md."""

import argparse
import dataclasses
import gc
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from bench import (
    api,
    attachments,
    breakdowns,
    commands,
    crowd,
    editor,
    hosts,
    idle,
    imports,
    letter_cost,
    listmonk,
    mailbox,
    many,
    pages,
    partitions,
    render,
    replica,
    reports,
    results,
    returned,
    search,
    segments,
    sending,
    sequences,
    servers,
    signed_in,
    signup,
    sorting,
    tracking,
    transactional,
    waiting,
    webhooks,
    years,
)
from bench.postfix import PostfixMissing
from bench.rows import FULL, QUICK, Row, Sizes
from bench.service import MeasurementFailed
from bench.testbed import Testbed

MODULES = (
    sending,
    letter_cost,
    listmonk,
    waiting,
    attachments,
    render,
    replica,
    segments,
    search,
    sorting,
    imports,
    pages,
    commands,
    api,
    signed_in,
    signup,
    tracking,
    transactional,
    reports,
    breakdowns,
    returned,
    mailbox,
    many,
    servers,
    sequences,
    webhooks,
    idle,
    hosts,
    editor,
    years,
    partitions,
    crowd,
)
ROWS = {name: row for module in MODULES for name, row in module.ROWS.items()}
# These take minutes and do not run by default; `crowd` and `mailbox` are part of `make soak`.
SOAK = {"crowd", "mailbox", "partitions", "replica", "years"}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Run the benchmarks of bench/README.md."
    )
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        help=f"any of {', '.join(ROWS)}; default: all but {', '.join(sorted(SOAK))}",
    )
    parser.add_argument("--full", action="store_true", help="use 1,000,000 recipients; takes about an hour")
    for field in dataclasses.fields(Sizes):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(
            option,
            type=int,
            help=f"default: {getattr(QUICK, field.name)}; with --full: {getattr(FULL, field.name)}",
        )
    parser.add_argument(
        "--directory", type=Path, help="where to put the databases of this run; use a disk, not memory"
    )
    options = parser.parse_args(arguments)
    for name in options.rows:
        if name not in ROWS:
            parser.error(f"there is no row {name!r}")
    return options


def choose_sizes(options: argparse.Namespace) -> Sizes:
    """Return the sizes for a quick or full run, overridden by the options."""
    names = [field.name for field in dataclasses.fields(Sizes)]
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return dataclasses.replace(FULL if options.full else QUICK, **chosen)


def measure(testbed: Testbed, names: list[str], sizes: Sizes) -> list[Row]:
    """Return all rows; a failed benchmark is reported as a row and does not stop the others."""
    rows: list[Row] = []
    for name in names:
        echo(f"{name} ... (load {os.getloadavg()[0]:.1f})")
        start = time.monotonic()
        try:
            for row in ROWS[name](testbed, sizes):
                rows.append(row)
                echo(f"  {row.what}: {row.measured}")
        except MeasurementFailed as failure:
            rows.append(Row(name, "failed", "", "", False, {"failure": str(failure)}))
            echo(f"  failed: {failure}")
        echo(f"  {time.monotonic() - start:.0f} s")
    return rows


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    logging.disable(logging.INFO)  # migrations, for example, log many lines
    gc.freeze()  # as in the service's processes, because some rows are measured in this process
    command = " ".join(["python -m bench", *arguments])
    with tempfile.TemporaryDirectory(prefix="skymailing-bench-", dir=options.directory) as directory:
        try:
            testbed = Testbed(Path(directory))
        except PostfixMissing as missing:
            print(missing, file=sys.stderr)
            return 2
        with testbed:
            rows = measure(
                testbed, options.rows or [name for name in ROWS if name not in SOAK], choose_sizes(options)
            )
            machine = results.describe_machine(testbed.postgresql.version)
    path = results.write(command, machine, rows)
    echo(f"\n{path.read_text()}\n{path}")
    return 0 if all(row.is_met is not False for row in rows) else 1


def echo(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
