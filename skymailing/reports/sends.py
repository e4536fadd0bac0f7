"""The rates of an owner's last sends, for the line chart of a report."""

from collections.abc import Sequence

from skymailing.mailings.queries import Ledger, count_runs, find_finished_runs
from skymailing.models import RunInterval
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period

MAX_SENDS = 30
FEWEST = 2  # a line needs two points
MIN_PLANNED = 10  # letters; the rates of smaller sends say nothing


def list_sends(scope: Scope, period: Period) -> Sequence[Ledger]:
    """Return the period's last finished runs of mailings, newest first; empty if there are too few."""
    in_period = (RunInterval.begins_at >= period.begins_at) & (RunInterval.begins_at < period.ends_at)
    runs = find_finished_runs(scope.condition(RunInterval), in_period, fewest=MIN_PLANNED, limit=MAX_SENDS)
    sends = [ledger for ledger in count_runs(runs) if ledger.outcomes.total]
    return sends if len(sends) >= FEWEST else []
