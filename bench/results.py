"""Write the results as Markdown and JSON, with details of the machine."""

import json
import os
import platform
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import Row

RESULTS_DIR = Path(__file__).parent / "results"


def describe_machine(postgresql: str) -> dict[str, str]:
    """Return the details of the machine that affect the figures; `postgresql` is the server's version."""
    load = os.getloadavg()
    return {
        "processor": _find_processor(),
        "cores": str(os.cpu_count()),
        "memory": _find_memory(),
        "system": platform.platform(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": postgresql,
        "load average at the end": ", ".join(f"{value:.1f}" for value in load),
    }


def _find_processor() -> str:
    try:
        match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def _find_memory() -> str:
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{size / 2**30:.0f} GB"


def to_markdown(command: str, machine: dict[str, str], rows: list[Row]) -> str:
    """Return a Markdown text with the command, a table of the rows and the details of the machine."""
    lines = [
        f"    {command}",
        "",
        "| what | measured | required | goal | |",
        "| --- | --- | --- | --- | --- |",
    ]
    verdicts = {True: "met", False: "**not met**", None: ""}
    lines += [
        f"| {row.what} | {row.measured} | {row.required} | {row.goal} | {verdicts[row.is_met]} |"
        for row in rows
    ]
    lines += ["", "Machine: " + "; ".join(f"{name} {value}" for name, value in machine.items()) + ".", ""]
    return "\n".join(lines)


def write(command: str, machine: dict[str, str], rows: list[Row]) -> Path:
    """Write a Markdown and a JSON file to bench/results; return the path of the Markdown file."""
    RESULTS_DIR.mkdir(exist_ok=True)
    finished_at = datetime.now(UTC)
    path = RESULTS_DIR / f"{finished_at:%Y-%m-%d-%H%M%S}.md"
    path.write_text(to_markdown(command, machine, rows))
    content = {
        "command": command,
        "finished_at": finished_at.isoformat(),
        "machine": machine,
        "rows": [vars(row) for row in rows],
    }
    path.with_suffix(".json").write_text(json.dumps(content, ensure_ascii=False, indent=2))
    return path
