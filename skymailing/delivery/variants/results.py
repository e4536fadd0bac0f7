"""Count the results of a test, and compare them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from skymailing.delivery.variants.samples import IN_SAMPLE
from skymailing.models import Decision, Delivery, DeliveryState, Engagement, Run, RunVariant

# Two results differ clearly if chance alone causes such a difference with at most this probability.
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Result:
    """The sample of one variant: its letters, those that were sent, and those in which a person clicked."""

    number: int
    planned: int
    sent: int
    clicked: int

    @property
    def rate(self) -> float:
        """The share of clients who clicked."""
        return self.clicked / self.sent if self.sent else 0.0


def read_results(session: Session, run: Run) -> list[Result]:
    """Return the results of a run's variants, in order."""
    if run.details_removed_at is None:
        return count_results(session, run.id)
    stored = select(RunVariant.number, RunVariant.planned, RunVariant.sent, RunVariant.clicked)
    rows = session.execute(stored.where(RunVariant.run_id == run.id).order_by(RunVariant.number))
    return [Result(*row) for row in rows.tuples()]


def count_results(session: Session, run_id: int) -> list[Result]:
    """Count the deliveries of the sample; reads only an index, and the letters with clicks."""
    in_sample = (Delivery.run_id == run_id) & IN_SAMPLE
    states = select(Delivery.variant, Delivery.state, func.count()).where(in_sample)
    planned, sent = Counter[int | None](), Counter[int | None]()
    for variant, state, count in session.execute(states.group_by(Delivery.variant, Delivery.state)).tuples():
        planned[variant] += count
        sent[variant] += count if state is DeliveryState.SENT else 0
    clicks = (
        select(Delivery.variant, func.count())
        .select_from(Engagement)
        .join(Delivery, Delivery.id == Engagement.delivery_id)
        .where(Engagement.run_id == run_id, Engagement.clicks > 0, in_sample)
        .group_by(Delivery.variant)
    )
    clicked = dict(session.execute(clicks).tuples().all())
    numbers = select(RunVariant.number).where(RunVariant.run_id == run_id).order_by(RunVariant.number)
    return [
        Result(number, planned[number], sent[number], clicked.get(number, 0))
        for number in session.scalars(numbers)
    ]


def keep_results(session: Session, run_id: int) -> None:
    """Store the results of a test, and remove its texts, before the deliveries are removed."""
    for result in count_results(session, run_id):
        values = {"planned": result.planned, "sent": result.sent, "clicked": result.clicked}
        is_variant = (RunVariant.run_id == run_id) & (RunVariant.number == result.number)
        session.execute(update(RunVariant).where(is_variant).values(body="", **values))


def choose_winner(results: Sequence[Result]) -> tuple[int, Decision]:
    """Return the variant with the best rate (the first of several), and whether it is clearly the best."""
    best, *others = sorted(results, key=lambda result: (-result.rate, result.number))
    is_clear = bool(others) and estimate_chance(best, others[0]) <= SIGNIFICANCE
    return best.number, Decision.CLICKS if is_clear else Decision.NO_DIFFERENCE


def estimate_chance(one: Result, other: Result) -> float:
    """Return how likely it is that chance alone makes such a difference, by the two-proportion z-test."""
    if not one.sent or not other.sent:
        return 1.0
    overall = (one.clicked + other.clicked) / (one.sent + other.sent)
    variance = overall * (1 - overall) * (1 / one.sent + 1 / other.sent)
    return erfc(abs(one.rate - other.rate) / sqrt(2 * variance)) if variance > 0 else 1.0
