"""The last run of each listed mailing, and the last one whose result is final."""

from collections.abc import Collection
from dataclasses import dataclass

from skymailing.mailings.queries import Ledger, count_last_runs
from skymailing.models import OPEN_RUN_STATES, Run


@dataclass(frozen=True)
class LatestRuns:
    """The ledgers of a mailing's last run, and of the last one that has ended; None if none has."""

    last: Ledger
    ended: Ledger | None


def count_latest_runs(mailing_ids: Collection[int]) -> dict[int, LatestRuns]:
    """Return each mailing's latest runs by mailing ID, without mailings that have not run."""
    last = count_last_runs(mailing_ids)
    running = [id for id, ledger in last.items() if ledger.run.state in OPEN_RUN_STATES]
    ended = count_last_runs(running, Run.state.not_in(OPEN_RUN_STATES)) if running else {}
    return {id: LatestRuns(ledger, ended.get(id) if id in running else ledger) for id, ledger in last.items()}
