"""The last run of each listed mailing, and the last one whose result is final."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select, union

from skymailing.extensions import db
from skymailing.mailings.queries import Ledger, count_runs, select_newest_runs
from skymailing.models import OPEN_RUN_STATES, Run


@dataclass(frozen=True)
class LatestRuns:
    """The ledgers of a mailing's last run, and of the last one that has ended; None if none has."""

    last: Ledger
    ended: Ledger | None


def count_latest_runs(mailing_ids: Collection[int]) -> dict[int, LatestRuns]:
    """Return each mailing's latest runs by mailing ID, without mailings that have not run."""
    ended = select_newest_runs(mailing_ids, Run.state.not_in(OPEN_RUN_STATES))
    ids = union(select_newest_runs(mailing_ids), ended)
    runs = db.session.scalars(select(Run).where(Run.id.in_(ids)).order_by(Run.id))
    latest: dict[int, LatestRuns] = {}
    for ledger in count_runs(runs.all()):
        earlier = latest.get(ledger.run.mailing_id)
        is_open = ledger.run.state in OPEN_RUN_STATES
        latest[ledger.run.mailing_id] = LatestRuns(
            ledger, (earlier.last if earlier else None) if is_open else ledger
        )
    return latest
