"""Time work in the benchmark's own process."""

import time
from collections.abc import Callable

TIMES = 3


def find_shortest_time(work: Callable[[], object]) -> float:
    """Return the shortest of three times, in seconds."""
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
