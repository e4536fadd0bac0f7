"""Find what an owner needs to decide or repair, for the start page.

Each query reads only a few rows of an index: older mailings, runs and returned letters are not considered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Select, func, or_, select

from skymailing.extensions import db
from skymailing.letters.unknowns import WAITS
from skymailing.mailings.queries import WAITS_FOR_DECISION, may_resend
from skymailing.models import (
    Bounce,
    BreakerState,
    Delivery,
    Mailing,
    MailingKind,
    MailingState,
    Proof,
    RecordState,
    Route,
    Run,
    RunState,
    SendingDomain,
    Sequence,
    SequenceStep,
    SmtpServer,
)
from skymailing.models.smtp_server import ROUTE_PREFIX

MAX_SHOWN = 5  # of each kind
NEWEST_MAILINGS = 50
NEWEST_RETURNS = 1_000
LETTERS_AGE = timedelta(days=7)  # of transactional letters and sequence letters


class Subject(StrEnum):
    """The subject of a decision."""

    PAUSED_MAILING = "paused-mailing"
    UNKNOWN_MAILING = "unknown-mailing"
    UNKNOWN_SEQUENCE = "unknown-sequence"
    UNKNOWN_LETTERS = "unknown-letters"
    RETURNS = "returns"
    SERVER = "server"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that the owner needs to make; `id` is that of the mailing, sequence, server or domain."""

    subject: Subject
    count: int = 0
    id: int | None = None
    name: str = ""
    mailing: Mailing | None = None
    is_over: bool = False  # letters can no longer be sent again, so there is nothing to choose


def find_decisions(owner_id: int, now: datetime) -> list[Decision]:
    """Return the decisions that the owner needs to make, the most urgent first."""
    return [
        *_find_paused(owner_id),
        *_find_servers(owner_id),
        *_find_domains(owner_id),
        *_find_unknowns(owner_id, now),
        *_find_unknowns_of_sequences(owner_id, now),
        *_count_unknown_letters(owner_id, now),
        *_count_returns(owner_id),
    ]


def _find_paused(owner_id: int) -> Iterator[Decision]:
    """Yield the mailings that the service has paused; those paused by their owner have no reason."""
    paused = select(Mailing).where(Mailing.owner_id == owner_id, Mailing.state == MailingState.PAUSED)
    paused = paused.where(Mailing.kind == MailingKind.MAILING, Mailing.state_reason != "")
    for mailing in db.session.scalars(paused.order_by(Mailing.id.desc()).limit(MAX_SHOWN)):
        yield Decision(Subject.PAUSED_MAILING, id=mailing.id, name=mailing.name, mailing=mailing)


def _find_servers(owner_id: int) -> Iterator[Decision]:
    """Yield the owner's servers that failed their last test, or that do not respond."""
    servers = select(SmtpServer.id, SmtpServer.name, SmtpServer.tested_at, SmtpServer.has_passed)
    rows = db.session.execute(servers.where(SmtpServer.owner_id == owner_id).order_by(SmtpServer.id)).all()
    routes = [f"{ROUTE_PREFIX}{row.id}" for row in rows]
    stopped = select(Route.name).where(Route.name.in_(routes), Route.state != BreakerState.CLOSED)
    names = set(db.session.scalars(stopped)) if routes else set()
    for id, name, tested_at, has_passed in rows[:NEWEST_MAILINGS]:
        if f"{ROUTE_PREFIX}{id}" in names or (tested_at is not None and not has_passed):
            yield Decision(Subject.SERVER, id=id, name=name)


def _find_domains(owner_id: int) -> Iterator[Decision]:
    """Yield the owner's verified domains with a DNS record that is now missing or wrong."""
    failing = (RecordState.MISSING, RecordState.WRONG)
    domains = select(SendingDomain).where(SendingDomain.owner_id == owner_id)
    for domain in db.session.scalars(domains.where(SendingDomain.verified_at.is_not(None))):
        states = [finding.get("state") for finding in domain.findings.values()]
        if domain.missing_since is not None or any(state in failing for state in states):
            yield Decision(Subject.DOMAIN, id=domain.id, name=domain.name)


def _find_unknowns(owner_id: int, now: datetime) -> Iterator[Decision]:
    newest = select(Mailing.id).where(Mailing.owner_id == owner_id, Mailing.kind == MailingKind.MAILING)
    newest = newest.order_by(Mailing.id.desc()).limit(NEWEST_MAILINGS)
    last = select(func.max(Run.id)).where(Run.mailing_id.in_(newest.scalar_subquery()))
    last = last.where(Run.state != RunState.SKIPPED).group_by(Run.mailing_id)
    waiting = select(Delivery.run_id, func.count().label("letters")).where(WAITS_FOR_DECISION)
    by_run = waiting.where(Delivery.run_id.in_(last)).group_by(Delivery.run_id).subquery()
    found = select(Mailing, by_run.c.letters).join(Run, Run.mailing_id == Mailing.id)
    found = found.join(by_run, by_run.c.run_id == Run.id).order_by(Mailing.id.desc()).limit(MAX_SHOWN)
    for mailing, count in db.session.execute(found).tuples():
        is_over = not may_resend(mailing, now)
        yield Decision(Subject.UNKNOWN_MAILING, count, mailing.id, mailing.name, is_over=is_over)


def _find_unknowns_of_sequences(owner_id: int, now: datetime) -> Iterator[Decision]:
    runs = _select_daily_runs(owner_id, (MailingKind.SEQUENCE,), now)
    found = select(Sequence.id, Sequence.name, func.count())
    found = found.join(SequenceStep, SequenceStep.sequence_id == Sequence.id)
    found = found.join(Run, Run.mailing_id == SequenceStep.mailing_id).join(Delivery)
    found = found.where(Delivery.run_id.in_(runs), WAITS).group_by(Sequence.id, Sequence.name)
    for id, name, count in db.session.execute(found.order_by(Sequence.id.desc()).limit(MAX_SHOWN)):
        yield Decision(Subject.UNKNOWN_SEQUENCE, count, id, name)


def _count_unknown_letters(owner_id: int, now: datetime) -> Iterator[Decision]:
    runs = _select_daily_runs(owner_id, (MailingKind.TRANSACTIONAL,), now)
    waiting = select(func.count()).select_from(Delivery).where(Delivery.run_id.in_(runs), WAITS)
    if count := db.session.scalar(waiting):
        yield Decision(Subject.UNKNOWN_LETTERS, count)


def _select_daily_runs(owner_id: int, kinds: tuple[MailingKind, ...], now: datetime) -> Select[tuple[int]]:
    mailings = select(Mailing.id).where(Mailing.owner_id == owner_id, Mailing.kind.in_(kinds))
    is_recent = or_(Run.finished_at.is_(None), Run.scheduled_for >= now - LETTERS_AGE)
    return select(Run.id).where(Run.mailing_id.in_(mailings), is_recent)


def _count_returns(owner_id: int) -> Iterator[Decision]:
    newest = select(Bounce.proof).where(Bounce.owner_id == owner_id).order_by(Bounce.id.desc())
    newest_proofs = newest.limit(NEWEST_RETURNS).subquery()
    unclear = select(func.count()).where(newest_proofs.c.proof == Proof.ADDRESS)
    if count := db.session.scalar(unclear):
        yield Decision(Subject.RETURNS, count)
