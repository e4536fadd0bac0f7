"""Write the results as Markdown and JSON, with details of the machine."""

import json
import os
import platform
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import Row

RESULTS = Path(__file__).parent / "results"


def get_machine_facts(postgresql: str) -> dict[str, str]:
    """Return the details of the machine that affect the figures."""
    load = os.getloadavg()
    return {
        "processor": _find_processor(),
        "cores": str(os.cpu_count()),
        "memory": _read_memory(),
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


def _read_memory() -> str:
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{size / 2**30:.0f} GB"


def to_markdown(command: str, machine: dict[str, str], rows: list[Row]) -> str:
    """Format the command, the table of rows and the details of the machine."""
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
    """Write both files to bench/results; return the path of the Markdown file."""
    RESULTS.mkdir(exist_ok=True)
    finished_at = datetime.now(UTC)
    path = RESULTS / f"{finished_at:%Y-%m-%d-%H%M%S}.md"
    path.write_text(to_markdown(command, machine, rows))
    content = {
        "command": command,
        "finished_at": finished_at.isoformat(),
        "machine": machine,
        "rows": [vars(row) for row in rows],
    }
    path.with_suffix(".json").write_text(json.dumps(content, ensure_ascii=False, indent=2))
    return path
