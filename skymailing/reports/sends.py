"""The rates of an owner's last sends, for the line chart of a report."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from skymailing.extensions import db
from skymailing.mailings.queries import Ledger, count_runs
from skymailing.models import Mailing, MailingKind, Run, RunInterval, RunState
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period

MAX_SENDS = 30
FEWEST = 2  # a line needs two points
MIN_PLANNED = 10  # letters; the rates of smaller sends say nothing


def list_sends(scope: Scope, period: Period) -> Sequence[Ledger]:
    """Return the period's last finished runs of mailings, oldest first; empty if there are too few."""
    # A run's `planned` is counted in the interval in which it starts, and an index finds those by time.
    starts = (
        select(RunInterval.run_id)
        .join(Mailing, Mailing.id == RunInterval.mailing_id)
        .where(
            scope.condition(RunInterval),
            RunInterval.begins_at >= period.begins_at,
            RunInterval.begins_at < period.ends_at,
            RunInterval.planned >= MIN_PLANNED,
            Mailing.kind == MailingKind.MAILING,
        )
        .order_by(RunInterval.begins_at.desc())
        .limit(MAX_SENDS)
    )
    ids = db.session.scalars(starts).all()
    finished = (
        select(Run).where(Run.id.in_(ids), Run.state == RunState.FINISHED).options(joinedload(Run.mailing))
    )
    runs = db.session.scalars(finished.order_by(Run.started_at, Run.id)).all()
    sends = [ledger for ledger in count_runs(runs) if ledger.outcomes.total]
    return sends if len(sends) >= FEWEST else []
