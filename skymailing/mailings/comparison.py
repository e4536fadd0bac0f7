"""Compare a run with the owner's earlier runs."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from skymailing.mailings.queries import Ledger, count_runs, find_finished_runs
from skymailing.models import DeliveryState, MailingKind, Run, RunInterval, RunState
from skymailing.purchases.queries import sum_of_runs

MAX_RUNS = 10
MIN_RUNS = 3
MIN_PLANNED = 50  # letters; the shares of smaller runs say little
# Runs that are examined to find ten that are finished.
CANDIDATES = 20
# People click and unsubscribe for days, so these shares are not judged on a run's first day.
TIME_TO_REACT = timedelta(days=1)
# A purchase is credited for this long after a click, see `purchases.crediting`.
TIME_TO_BUY = timedelta(days=8)
MIN_REVENUE_PORTION = 0.2
# A difference of one letter means nothing.
MIN_LETTERS = 2


@dataclass(frozen=True)
class Measure:
    """A share of a run's letters, and how far from the usual share it must be to count as better or worse."""

    name: str
    part: Callable[[Ledger], int]
    whole: Callable[[Ledger], int]
    more_is_better: bool
    min_points: float  # in percentage points
    min_portion: float  # relative to the usual share
    is_measured: Callable[[Run], bool] = lambda _run: True
    needs_time: bool = True  # people are still reacting on a run's first day


@dataclass(frozen=True)
class Comparison:
    """A run's share and the median of earlier runs, both in percent; with a currency, the revenue per letter.

    Revenue is in the smallest unit of the currency.
    """

    name: str
    share: float
    usual: float
    # "better", "usual", "worse", or "early" if it is too early to judge.
    verdict: str
    currency: str = ""


def _count_delivered(ledger: Ledger) -> int:
    return ledger.outcomes.delivered


def _count_sent(ledger: Ledger) -> int:
    return ledger[DeliveryState.SENT]


def _count_total(ledger: Ledger) -> int:
    return ledger.outcomes.total


# Shown on the page of a run.
MEASURES = (
    Measure("delivered", _count_delivered, _count_total, True, 1, 0, needs_time=False),
    Measure(
        *("clicked", lambda ledger: ledger.run.clicked, _count_delivered, True, 0.5, 0.2),
        is_measured=lambda run: run.track_clicks,
    ),
    Measure("returned", lambda ledger: ledger.run.returned, _count_sent, False, 0.5, 0.5),
    Measure("unsubscribed", lambda ledger: ledger.run.unsubscribed, _count_delivered, False, 0.1, 0.5),
    Measure("complaints", lambda ledger: ledger.run.complaints, _count_delivered, False, 0.05, 0.5),
)
# The counterparts of "delivered", which only reports show beside it.
COUNTERPARTS = (
    Measure("undelivered", lambda ledger: ledger.outcomes.undelivered, _count_total, False, 1, 0),
    Measure("unknown", lambda ledger: ledger.outcomes.unknown, _count_total, False, 1, 0),
)
BY_NAME = {measure.name: measure for measure in (*MEASURES, *COUNTERPARTS)}


def compare(ledger: Ledger, owner_id: int, now: datetime) -> list[Comparison]:
    """Compare a finished run with up to ten before it; empty if there are fewer than three."""
    is_mailing = ledger.run.mailing.kind == MailingKind.MAILING
    if ledger.run.state is not RunState.FINISHED or not ledger.planned or not is_mailing:
        return []
    earlier = count_runs(find_earlier_runs(ledger.run, owner_id))
    compared = [_compare(measure, ledger, earlier, now) for measure in MEASURES]
    compared.append(_compare_revenue(ledger, earlier, now))
    return [comparison for comparison in compared if comparison]


def find_earlier_runs(run: Run, owner_id: int) -> Sequence[Run]:
    """Return the owner's last finished runs of mailings that started before this one, newest first."""
    return find_last_runs(owner_id, run.started_at, run.id)


def find_last_runs(owner_id: int, before: datetime, other_than: int = 0) -> Sequence[Run]:
    """Return the owner's last finished runs of mailings with enough letters, newest first."""
    conditions = (
        RunInterval.owner_id == owner_id,
        RunInterval.begins_at < before,
        RunInterval.run_id != other_than,
    )
    runs = find_finished_runs(*conditions, fewest=MIN_PLANNED, limit=CANDIDATES)
    return runs[:MAX_RUNS]


def _compare(measure: Measure, ledger: Ledger, earlier: Sequence[Ledger], now: datetime) -> Comparison | None:
    whole = measure.whole(ledger)
    others = [other for other in earlier if measure.is_measured(other.run) and measure.whole(other)]
    if not whole or not measure.is_measured(ledger.run) or len(others) < MIN_RUNS:
        return None
    usual = median(100 * measure.part(other) / measure.whole(other) for other in others)
    share = 100 * measure.part(ledger) / whole
    if not share and not usual:
        return None
    if measure.needs_time and now < ledger.run.started_at + TIME_TO_REACT:
        return Comparison(measure.name, share, usual, "early")
    return Comparison(measure.name, share, usual, _judge(measure, share, usual, whole))


def _compare_revenue(ledger: Ledger, earlier: Sequence[Ledger], now: datetime) -> Comparison | None:
    """Compare the revenue per delivered letter, in the currency in which most of the runs sold something."""
    others = [other for other in earlier if _count_delivered(other)]
    delivered = _count_delivered(ledger)
    if not delivered or len(others) < MIN_RUNS:
        return None
    sold = sum_of_runs([ledger.run.id, *(other.run.id for other in others)])
    runs = Counter(currency for amounts in sold.values() for currency in amounts)
    if not runs:
        return None
    currency = min(runs, key=lambda currency: (-runs[currency], currency))

    def find_amount(one: Ledger) -> float:
        return sold.get(one.run.id, {}).get(currency, 0) / _count_delivered(one)

    usual, revenue = median(map(find_amount, others)), find_amount(ledger)
    if not usual:  # most of them sold nothing, or could not yet be credited
        return None
    is_early = now < ledger.run.started_at + TIME_TO_BUY
    verdict = "early" if is_early else judge_revenue(revenue, usual)
    return Comparison("revenue", revenue, usual, verdict, currency)


def judge_revenue(revenue: float, usual: float) -> str:
    """Return whether a revenue is "better", "usual" or "worse"."""
    if abs(revenue - usual) < MIN_REVENUE_PORTION * usual:
        return "usual"
    return "better" if revenue > usual else "worse"


def judge(name: str, share: float, usual: float, whole: int) -> str:
    """Return whether a share in percent of `whole` letters is "better", "usual" or "worse" for a measure."""
    return _judge(BY_NAME[name], share, usual, whole)


def _judge(measure: Measure, share: float, usual: float, whole: int) -> str:
    difference = share - usual
    needed = max(measure.min_points, measure.min_portion * usual, 100 * MIN_LETTERS / whole)
    if abs(difference) < needed:
        return "usual"
    return "better" if (difference > 0) is measure.more_is_better else "worse"
