"""Limit CPU time, which, unlike elapsed time, does not depend on other programs on the machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_seconds(limit: float) -> Iterator[None]:
    """Check that the block uses less than `limit` seconds of CPU time in the calling thread."""
    start = time.thread_time()
    yield
    used = time.thread_time() - start
    assert used < limit, f"{used:.2f} seconds of CPU time, but the limit is {limit}"
