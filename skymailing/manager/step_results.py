"""Add up the daily runs of each step of a sequence, since the result of a single day says little."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import case, func, select

from skymailing.extensions import db
from skymailing.mailings.latest_runs import LatestRuns, count_latest_runs
from skymailing.mailings.outcomes import Outcomes
from skymailing.mailings.queries import Ledger
from skymailing.models import COUNTED_STATES, DeliveryState, Mailing, MailingKind, Run, RunInterval
from skymailing.reports.aggregates import DELIVERED

NAMES = ("planned", *COUNTED_STATES, "returned", "clicked")


@dataclass(frozen=True)
class StepLedger(Ledger):
    """The ledger of all runs of a step together; `run` is the last one."""

    sums: Mapping[str, int] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        return self.sums["planned"]

    @property
    def outcomes(self) -> Outcomes:
        return Outcomes.of(self.sums)

    @property
    def clicked(self) -> int:
        return self.sums["clicked"]

    @property
    def clickable(self) -> int:
        return self.sums["clickable"]


def count_results(mailings: Collection[Mailing]) -> dict[int, LatestRuns]:
    """Return the latest runs of mailings, and the sums of all runs of steps, by mailing ID."""
    latest = count_latest_runs([mailing.id for mailing in mailings])
    steps = {mailing.id for mailing in mailings if mailing.kind == MailingKind.SEQUENCE}
    steps &= latest.keys()
    return latest | (_count_steps({id: latest[id].last.run for id in steps}) if steps else {})


def _count_steps(last_runs: Mapping[int, Run]) -> dict[int, LatestRuns]:
    clickable = func.sum(case((Run.track_clicks, DELIVERED), else_=0))
    sums = [func.sum(RunInterval.__table__.c[name]) for name in NAMES]
    counted = (
        select(RunInterval.mailing_id, *sums, clickable)
        .join(Run, Run.id == RunInterval.run_id)
        .where(RunInterval.mailing_id.in_(last_runs))
        .group_by(RunInterval.mailing_id)
    )
    results = {}
    for mailing_id, *numbers in db.session.execute(counted):
        ledger = _make_ledger(
            last_runs[mailing_id],
            dict(zip((*NAMES, "clickable"), map(int, numbers), strict=True)),
        )
        results[mailing_id] = LatestRuns(ledger, ledger)
    return results


def _make_ledger(last: Run, sums: Mapping[str, int]) -> StepLedger:
    counts = dict.fromkeys(DeliveryState, 0) | {state: sums[state] for state in COUNTED_STATES}
    # The few letters that are being sent are among them.
    counts[DeliveryState.PENDING] = max(0, sums["planned"] - sum(counts.values()))
    return StepLedger(last, counts, sums)
