"""Process returned mail: interpret it, store it, and act on its reports."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from skymailing import counters
from skymailing.extensions import db
from skymailing.models import BounceKind, Proof, ReturnedLetter, ReturnedState
from skymailing.returns import consequences
from skymailing.returns.arrivals import Arrival
from skymailing.returns.attribution import Target, find_targets
from skymailing.returns.probes import find_probe_state, record_probe
from skymailing.returns.recording import NewBounce, NewLetter, record_bounces, store_letters
from skymailing.returns.reports import Kind, Report
from skymailing.returns.verdicts import Verdict, judge

KINDS = {
    Verdict.HARD: BounceKind.HARD,
    Verdict.SOFT: BounceKind.SOFT,
    Verdict.POLICY: BounceKind.POLICY,
    Verdict.COMPLAINT: BounceKind.COMPLAINT,
}


@dataclass(frozen=True, slots=True)
class StoredReturn:
    """A letter that has been stored."""

    id: int
    state: ReturnedState


@dataclass(frozen=True, slots=True)
class Finding:
    """The meaning of a report, and the client that it concerns."""

    report: Report
    verdict: Verdict
    target: Target | None = None


def ingest_letters(arrivals: Sequence[Arrival], now: datetime) -> list[StoredReturn]:
    """Store returned letters and act on them once, even if they arrive several times.

    The result has the same order. The caller commits, and must not delete any letter at its source before the
    commit.
    """
    unique = {arrival.digest: arrival for arrival in arrivals}
    findings = _interpret(list(unique.values()), now)
    letters = [_summarize(arrival, findings[digest]) for digest, arrival in unique.items()]
    new = store_letters(letters, now)
    _act({letter_id: findings[digest] for digest, letter_id in new.items()}, now)
    _count([finding for digest in new for finding in findings[digest]])
    states = {letter.arrival.digest: letter.state for letter in letters}
    stored = {digest: StoredReturn(letter_id, states[digest]) for digest, letter_id in new.items()}
    stored |= _find_known([digest for digest in unique if digest not in new])
    return [stored[arrival.digest] for arrival in arrivals]


def _interpret(arrivals: Sequence[Arrival], now: datetime) -> dict[str, list[Finding]]:
    """Return the letters' findings, by digest, without writing to the database."""
    judged = [(arrival, report, judge(report)) for arrival in arrivals for report in arrival.reports]
    relevant = [
        (report, arrival.is_trusted) for arrival, report, verdict in judged if verdict is not Verdict.IGNORED
    ]
    targets = iter(find_targets(relevant, now))
    findings: dict[str, list[Finding]] = {arrival.digest: [] for arrival in arrivals}
    for arrival, report, verdict in judged:
        target = None if verdict is Verdict.IGNORED else next(targets)
        findings[arrival.digest].append(Finding(report, verdict, target))
    return findings


def _summarize(arrival: Arrival, findings: Sequence[Finding]) -> NewLetter:
    states = {_find_state(finding) for finding in findings}
    state = next(
        state
        for state in (ReturnedState.UNCLEAR, ReturnedState.UNDERSTOOD, ReturnedState.IGNORED)
        if state in states
    )
    owners = (finding.target.owner_id for finding in findings if finding.target)
    return NewLetter(arrival, state, next(owners, None))


def _find_state(finding: Finding) -> ReturnedState:
    """Return the state that a finding gives its letter."""
    if finding.report.kind is Kind.PROBE:
        return find_probe_state(finding.report)
    if finding.verdict is Verdict.IGNORED:
        return ReturnedState.IGNORED
    is_known = finding.verdict in KINDS or finding.verdict is Verdict.UNSUBSCRIBE
    is_certain = is_known and finding.target is not None and finding.target.is_signed
    return ReturnedState.UNDERSTOOD if is_certain else ReturnedState.UNCLEAR


def _act(findings: dict[int, list[Finding]], now: datetime) -> None:
    """Record the findings, which are given by letter ID, and act on them."""
    bounces, opt_outs = [], []
    for letter_id, found in findings.items():
        for finding in found:
            target = finding.target
            if finding.report.kind is Kind.PROBE:
                record_probe(finding.report)
            elif target and finding.verdict in KINDS:
                bounces.append(NewBounce(letter_id, finding.report, KINDS[finding.verdict], target))
            elif target and finding.verdict is Verdict.UNSUBSCRIBE and target.is_signed:
                opt_outs.append(target)
    recorded = record_bounces(bounces, now)
    consequences.act([bounce for bounce in recorded if bounce.proof is Proof.SIGNED], opt_outs, now)


def _count(findings: Sequence[Finding]) -> None:
    if findings:
        counters.add(Counter(f"returned:{finding.verdict}" for finding in findings))


def _find_known(digests: Sequence[str]) -> dict[str, StoredReturn]:
    """Return letters that were stored earlier, by digest."""
    if not digests:
        return {}
    known = select(ReturnedLetter.digest, ReturnedLetter.id, ReturnedLetter.state)
    rows = db.session.execute(known.where(ReturnedLetter.digest.in_(digests))).tuples()
    return {digest: StoredReturn(letter_id, state) for digest, letter_id, state in rows}
