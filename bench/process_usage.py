"""Read the CPU time and memory of processes from /proc."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def read_cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes and of their children that have ended, in seconds."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def read_peak_memory(pids: Iterable[int]) -> float | None:
    """Return the highest peak of resident memory of the processes in MB; None if the system reports none."""
    peaks = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if found := PEAK.search(Path(f"/proc/{pid}/status").read_text()):
                peaks.append(int(found[1]) / 1024)
    return max(peaks, default=None)


def read_proportional_memory(pid: int) -> float:
    """Return a process's memory in MB, with its share of shared pages (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"the kernel does not report the memory of process {pid}")


def list_tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in list_tree(int(child)))]


def find_parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
