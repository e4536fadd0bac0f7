"""Update the engine's counters, which /metrics exports."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

from skymailing import counters
from skymailing.delivery.retry import UNCOUNTED
from skymailing.delivery.smtp.connection import Phase
from skymailing.delivery.smtp.session import Result

# Upper bounds of the histogram buckets, in seconds; slower events count in the last bucket, +Inf.
BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)


# Opening a session and its phases, then handing over a letter and its phases.
PHASES = ("open", *Phase, "letter", "envelope", "content")


def count_results(results: Iterable[Result]) -> None:
    """Count attempts by outcome and class of the reply code, and the time they took."""
    amounts: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {"letter": [], "envelope": [], "content": []}
    attempts: Counter[tuple[str, int | None]] = Counter()
    for result in results:
        if result.verdict in UNCOUNTED:
            continue
        attempts[result.verdict, result.code] += 1
        seconds["letter"].append(result.seconds)
        if result.content_seconds is None:
            seconds["envelope"].append(result.seconds)
        else:
            seconds["envelope"].append(result.seconds - result.content_seconds)
            seconds["content"].append(result.content_seconds)
    for (verdict, code), count in attempts.items():
        code_class = f"{code // 100}xx" if code else "none"
        amounts[f"attempts:{verdict}:{code_class}"] += count
    if amounts:
        counters.add({**amounts, **_make_histograms(seconds)})


def count_opening(seconds: Mapping[Phase, float]) -> None:
    """Record how long it took to open a session, by phase; the last phase may have failed."""
    counters.add(
        _make_histograms({"open": [sum(seconds.values())]} | {phase: [s] for phase, s in seconds.items()})
    )


def _make_histograms(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for phase, durations in seconds.items():
        buckets = Counter(bisect_left(BUCKETS, duration) for duration in durations)
        amounts |= {f"seconds:{phase}:{bucket}": count for bucket, count in buckets.items()}
        amounts[f"seconds_sum:{phase}"] = sum(durations)
    return amounts


def count_lost_leases(letters: int) -> None:
    """Count letters whose worker died before it recorded them."""
    counters.add({"leases_expired": letters})
