"""What a window of letters adds to the counters that /metrics shows."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from skymailing import counters
from skymailing.delivery.retry import UNCOUNTED
from skymailing.delivery.smtp import Result

# Upper bounds in seconds of the histogram's buckets; what is slower counts in the last one, +Inf.
BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)


def count_results(results: Iterable[Result]) -> None:
    """Count the attempts by outcome and class of the server's code, and their time at the server."""
    amounts: Counter[str] = Counter()
    seconds = 0.0
    for result in results:
        if result.verdict in UNCOUNTED:
            continue
        code_class = f"{result.code // 100}xx" if result.code else "none"
        amounts[f"attempts:{result.verdict}:{code_class}"] += 1
        amounts[f"seconds:letter:{bisect_left(BUCKETS, result.seconds)}"] += 1
        seconds += result.seconds
    if amounts:
        counters.add({**amounts, "seconds_sum:letter": seconds})


def count_opening(seconds: float) -> None:
    """Count the time that opening a session took: connection, TLS, sign-in."""
    bucket = bisect_left(BUCKETS, seconds)
    counters.add({f"seconds:open:{bucket}": 1, "seconds_sum:open": seconds})


def count_lost_leases(letters: int) -> None:
    """Count letters whose worker was gone before it recorded them."""
    counters.add({"leases_expired": letters})
