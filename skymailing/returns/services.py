"""Take in returned mail: store it, understand it, and act on what it reports."""

import hashlib
from datetime import datetime

from sqlalchemy import select

from skymailing import counters
from skymailing.clients.suppression import suppress
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import BounceKind, ReturnedLetter, ReturnedState, SuppressionReason
from skymailing.returns import consequences
from skymailing.returns.attribution import Target, find_target
from skymailing.returns.letter import UNKNOWN_ENVELOPE, Envelope
from skymailing.returns.probes import record_probe
from skymailing.returns.providers.events import Event
from skymailing.returns.reader import MAX_READ, read_return
from skymailing.returns.reports import Kind, Report
from skymailing.returns.verdicts import Verdict, judge

MAX_STORED = 64 * 1024
KINDS = {
    Verdict.HARD: BounceKind.HARD,
    Verdict.SOFT: BounceKind.SOFT,
    Verdict.POLICY: BounceKind.POLICY,
    Verdict.COMPLAINT: BounceKind.COMPLAINT,
}


def take_in(raw: bytes, source: str, now: datetime, envelope: Envelope = UNKNOWN_ENVELOPE) -> ReturnedLetter:
    """Store a letter that came back and act on it, once, however often it arrives.

    `envelope` is what the mail server says about it, besides its headers. The caller commits: before that,
    the letter must not be deleted where it came from.
    """
    raw = strip_envelope_line(raw)[:MAX_READ]
    letter = _store(raw, hashlib.sha256(raw).hexdigest(), source, now)
    if letter.state is ReturnedState.NEW:
        _understand(letter, read_return(raw, envelope), now)
    return letter


def take_in_event(event: Event, provider: str, now: datetime) -> ReturnedLetter:
    """Store an event of a provider and act on it, once; the caller has checked who sent it, and commits."""
    letter = _store(event.raw, event.get_digest(provider), provider, now)
    if letter.state is ReturnedState.NEW:
        _understand(letter, [event.report], now, is_trusted=True)
    return letter


def strip_envelope_line(raw: bytes) -> bytes:
    """Remove the line `From sender date`, which differs when a mail server pipes the letter again."""
    return raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw


def _store(raw: bytes, digest: str, source: str, now: datetime) -> ReturnedLetter:
    values = {"digest": digest, "source": source, "received_at": now, "raw": raw[:MAX_STORED]}
    db.session.execute(
        insert_into(ReturnedLetter).on_conflict_do_nothing(index_elements=["digest"]),
        [values | {"state": ReturnedState.NEW}],
    )
    # The lock keeps a second process with the same letter waiting until this one has understood it.
    stored = select(ReturnedLetter).where(ReturnedLetter.digest == digest).with_for_update()
    return db.session.execute(stored).scalar_one()


def _understand(
    letter: ReturnedLetter, reports: list[Report], now: datetime, is_trusted: bool = False
) -> None:
    states = {ReturnedState.IGNORED}
    for report in reports:
        if report.kind is Kind.PROBE:
            states.add(record_probe(report))
            continue
        verdict = judge(report)
        counters.add({f"returned:{verdict}": 1})
        if verdict is Verdict.IGNORED:
            continue
        target = find_target(report, now, is_trusted)
        if target and letter.owner_id is None:
            letter.owner_id = target.owner_id
        is_certain = target is not None and _act(letter, report, verdict, target, now)
        states.add(ReturnedState.UNDERSTOOD if is_certain else ReturnedState.UNCLEAR)
    letter.state = next(
        state
        for state in (ReturnedState.UNCLEAR, ReturnedState.UNDERSTOOD, ReturnedState.IGNORED)
        if state in states
    )


def _act(letter: ReturnedLetter, report: Report, verdict: Verdict, target: Target, now: datetime) -> bool:
    """Record and do what the report says; return whether it is certain."""
    if verdict is Verdict.UNSUBSCRIBE:
        if target.is_signed:
            suppress(target.owner_id, target.email_key, SuppressionReason.UNSUBSCRIBED, "", now)
        return target.is_signed
    if verdict not in KINDS:
        return False
    bounce = consequences.record_bounce(letter, report, KINDS[verdict], target, now)
    if bounce is not None and target.is_signed:
        consequences.act(bounce, now)
    return target.is_signed
