"""Summarize what happened to letters, for people: delivered, not delivered and why, clicked."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select

from skymailing.delivery.smtp.reasons import RefusalReason, find_reason
from skymailing.extensions import db
from skymailing.mailings.outcomes import Outcomes
from skymailing.mailings.queries import Ledger
from skymailing.models import LATER_COUNTS, DeliveryState, Outcome, RunAnswer
from skymailing.purchases.queries import Revenue, sum_of_run

# The final states of letters that no mail server accepted or refused for good.
NOT_SENT = (DeliveryState.SUPPRESSED, DeliveryState.EXPIRED, DeliveryState.CANCELLED)
RETURNED = "returned"
REACTIONS = ("complaints", "clicked", "unsubscribed")
MAX_REPLIES = 1_000  # different replies that are sorted into reasons; each of the rest concerns few letters


@dataclass(frozen=True)
class Cause:
    """A reason why letters were not delivered or not sent: a RefusalReason, a DeliveryState or RETURNED."""

    name: str
    count: int

    @property
    def prevented_sending(self) -> bool:
        return self.name in NOT_SENT


@dataclass(frozen=True)
class Results:
    """The results of the letters of a run, of a mailing or of a period."""

    planned: int
    outcomes: Outcomes
    complaints: int
    clicked: int
    unsubscribed: int
    tracked: int = 0  # the delivered letters whose clicks are counted
    causes: list[Cause] = field(default_factory=list)
    # There were more refusals than failed letters, so the causes are in proportion to the refusals.
    is_estimate: bool = False
    # What people bought after clicking, by currency.
    sales: list[Revenue] = field(default_factory=list)

    @property
    def delivered(self) -> int:
        return self.outcomes.delivered

    @property
    def undelivered(self) -> int:
        return self.outcomes.undelivered

    @property
    def unknown(self) -> int:
        return self.outcomes.unknown

    @property
    def not_sent(self) -> int:
        """Letters that no mail server accepted or refused for good, because of recipients or the mailing."""
        return sum(cause.count for cause in self.causes if cause.prevented_sending)

    @property
    def tried(self) -> int:
        """The letters that were sent, of which the delivered ones are a share."""
        return self.outcomes.total

    @property
    def total(self) -> int:
        """All letters: the planned ones, or more in a period in which letters of earlier runs were sent."""
        return max(self.planned, self._ended)

    @property
    def open(self) -> int:
        return self.total - self._ended

    @property
    def _ended(self) -> int:
        return self.tried + self.not_sent


def sum_up(counts: Mapping[str, int], refusals: Mapping[RefusalReason, int]) -> Results:
    """Return the results for counts by name (`SUMS` of reports), and refusals by reason."""
    failed, refused = counts["failed"], sum(refusals.values())
    shares = _distribute(failed, refusals)
    causes = [Cause(reason.value, shares[reason]) for reason in RefusalReason]
    causes += [Cause(state.value, counts[state.value]) for state in NOT_SENT]
    causes.append(Cause(RETURNED, counts["returned"]))
    causes = sorted((cause for cause in causes if cause.count), key=lambda cause: -cause.count)
    # Clicks that turn out to be a machine's are subtracted, perhaps in a later period.
    reactions: dict[str, Any] = {name: max(0, counts[name]) for name in REACTIONS}
    return Results(
        counts["planned"],
        Outcomes.of(counts),
        **reactions,
        tracked=max(0, counts["tracked"]),
        causes=causes,
        is_estimate=refused > failed > 0,
    )


def sum_up_run(ledger: Ledger) -> Results:
    """Return the results of a run."""
    refusals = count_run_refusals(ledger.run.id) if ledger[DeliveryState.FAILED] else {}
    later = {name: getattr(ledger.run, name) for name in LATER_COUNTS}
    states = {state.value: count for state, count in ledger.counts.items()}
    tracked = ledger.outcomes.delivered if ledger.run.track_clicks else 0
    results = sum_up({"planned": ledger.planned, "tracked": tracked} | states | later, refusals)
    return replace(results, sales=sum_of_run(ledger.run.id))


def count_run_refusals(run_id: int) -> Counter[RefusalReason]:
    """Return how many times a run's letters were refused for good, by reason."""
    attempts = func.sum(RunAnswer.attempts)
    statement = (
        select(RunAnswer.words, attempts)
        .where(RunAnswer.run_id == run_id, RunAnswer.outcome == Outcome.FAILED)
        .group_by(RunAnswer.words)
        .order_by(attempts.desc())
    )
    return sort_refusals((reply, int(count)) for reply, count in db.session.execute(statement).tuples())


def sort_refusals(replies: Iterable[tuple[str, int]]) -> Counter[RefusalReason]:
    """Return the number of refusals by reason; the most frequent replies come first."""
    reasons: Counter[RefusalReason] = Counter()
    for position, (reply, count) in enumerate(replies):
        reasons[find_reason(reply) if position < MAX_REPLIES else RefusalReason.OTHER] += count
    return reasons


def _distribute(failed: int, refusals: Mapping[RefusalReason, int]) -> Counter[RefusalReason]:
    """Return the failed letters by reason.

    Each failed letter was refused at least once. There are more refusals if failed letters were sent again,
    and fewer if letters failed without a reply.
    """
    refused = sum(refusals.values())
    if refused <= failed:
        shares = Counter(refusals)
        shares[RefusalReason.OTHER] += failed - refused
        return shares
    ordered = sorted(refusals.items(), key=lambda item: (-item[1], item[0]))
    shares = Counter()
    before = 0
    for reason, count in ordered:
        # Round the running total, so that the shares add up.
        shares[reason] = failed * (before + count) // refused - failed * before // refused
        before += count
    return shares
