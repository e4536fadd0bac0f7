"""Query attempts for the logs: newest first on pages, oldest first in files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute

from skymailing.db.engine import is_in
from skymailing.db.pagination import Page, paginate
from skymailing.email_addresses import address_pattern
from skymailing.extensions import db
from skymailing.mailings import log_addresses, log_periods
from skymailing.mailings.variants import letter_of
from skymailing.models import (
    Attempt,
    Delivery,
    Mailing,
    MailingKind,
    Outcome,
    Run,
    RunInterval,
    TransactionalLetter,
    User,
)

EXPORT_COLUMNS = ("time", "mailing", "run", "email", "attempt", "outcome", "code", "answer")
VARIANT_COLUMN = "variant"  # only if a run in the log has a test
EXPORT_CHUNK = 2000  # rows read in one short transaction
MAILINGS_LISTED = 100
RECENT_ATTEMPTS = 4
# Exactly as in the indexes: databases do not conclude this from the wanted outcome.
WAS_NOT_SENT: ColumnElement[bool] = literal_column("attempts.outcome <> 'sent'")


@dataclass(frozen=True)
class LogFilter:
    """A filter for an owner's attempts; `since` is inclusive, `until` is exclusive."""

    owner_id: int
    mailing_id: int | None = None
    run_id: int | None = None  # a run of that mailing
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    address: str = ""

    @property
    def scope(self) -> tuple[InstrumentedAttribute[int], int]:
        """The column and the value of the index that has all attempts of the run, mailing or owner."""
        if self.run_id is not None:
            return Attempt.run_id, self.run_id
        if self.mailing_id is not None:
            return Attempt.mailing_id, self.mailing_id
        return Attempt.owner_id, self.owner_id

    @property
    def is_rare(self) -> bool:
        """Whether only attempts are wanted for which there are small indexes."""
        return self.outcome not in (None, Outcome.SENT)


def narrow(statement: Select[Any], log_filter: LogFilter) -> Select[Any]:
    """Add the filter to a statement that joins attempts with their deliveries."""
    if log_filter.is_rare and not log_filter.address:
        # SQLite would read all attempts in a range of IDs.
        index = f"ix_attempts_not_sent_{'owner' if log_filter.mailing_id is None else 'mailing'}"
        statement = statement.with_hint(Attempt, f"INDEXED BY {index}", "sqlite")
    return statement.where(*find_conditions(log_filter))


def find_conditions(log_filter: LogFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on attempts, in a form for which an index has the rows in order.

    Finding them needs queries of their own, since databases do not know how rare the attempts are.
    """
    conditions = _list_simple_conditions(log_filter)
    scope, id = log_filter.scope
    if log_filter.address:
        letters = log_addresses.find_letters(log_filter.owner_id, log_filter.address)
        if letters is not None:
            # The sum keeps databases from using the index of all attempts in the log.
            return [is_in(Attempt.delivery_id, letters), scope + 0 == id, *conditions]
        pattern = address_pattern(log_filter.address)
        conditions.append(Delivery.email_key.contains(pattern, autoescape=True))
    if id_range := _find_id_range(log_filter):
        conditions.append(Attempt.id.between(*id_range))
    if not log_filter.is_rare:
        return [scope == id, *conditions]
    if log_filter.run_id is None:
        return [scope == id, WAS_NOT_SENT, *conditions]
    # These indexes have no run.
    return [Attempt.mailing_id == log_filter.mailing_id, scope + 0 == id, WAS_NOT_SENT, *conditions]


def _find_id_range(log_filter: LogFilter) -> log_periods.IdRange | None:
    """Return a range that contains the IDs of the wanted attempts, if it helps to find them."""
    since, until = log_filter.since, log_filter.until
    if log_filter.run_id is not None:
        return log_periods.find_range_of_runs([log_filter.run_id]) if log_filter.is_rare else None
    if not since and not until:
        return None
    intervals = RunInterval.owner_id == log_filter.owner_id
    if log_filter.mailing_id is not None:
        intervals = RunInterval.mailing_id == log_filter.mailing_id
    return log_periods.find_id_range(intervals, since, until)


def _list_simple_conditions(log_filter: LogFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if log_filter.outcome is not None:
        conditions.append(Attempt.outcome == log_filter.outcome)
    if log_filter.since is not None:
        conditions.append(Attempt.at >= log_filter.since)
    if log_filter.until is not None:
        conditions.append(Attempt.at < log_filter.until)
    return conditions


def list_attempts(log_filter: LogFilter, cursor: str | None, per_page: int = 50) -> Page:
    """Return a page of (Attempt, Delivery, mailing name, winner of the test) rows, newest first."""
    statement = (
        select(Attempt, Delivery, Mailing.name.label("mailing_name"), Run.winner)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .join(Mailing, Mailing.id == Attempt.mailing_id)
        .join(Run, Run.id == Delivery.run_id)
    )
    return paginate(narrow(statement, log_filter), [(Attempt.id, True)], cursor, per_page)


def list_recent_attempts(log_filter: LogFilter) -> Page:
    """Return the few newest rows, which the pages of mailings and runs show."""
    return list_attempts(log_filter, None, RECENT_ATTEMPTS)


def has_removed_attempts(log_filter: LogFilter) -> bool:
    """Return whether retention has removed attempts that may have matched the filter."""
    removed = select(Run.id).where(Run.details_removed_at.is_not(None))
    if log_filter.run_id is not None:
        removed = removed.where(Run.id == log_filter.run_id)
    elif log_filter.mailing_id is not None:
        removed = removed.where(Run.mailing_id == log_filter.mailing_id)
    else:
        mailing_ids = select(Mailing.id).where(Mailing.owner_id == log_filter.owner_id)
        removed = removed.where(Run.mailing_id.in_(mailing_ids))
    return bool(db.session.scalar(select(removed.exists())))


def has_test(log_filter: LogFilter) -> bool:
    """Return whether a run in the log of one mailing has a test, so that its letters have variants."""
    if log_filter.mailing_id is None:
        return False
    tested = select(Run.id).where(Run.mailing_id == log_filter.mailing_id, Run.test_ends_at.is_not(None))
    if log_filter.run_id is not None:
        tested = tested.where(Run.id == log_filter.run_id)
    return bool(db.session.scalar(select(tested.exists())))


def has_letters(owner_id: int) -> bool:
    """Return whether programs have sent transactional letters for the owner."""
    own = select(TransactionalLetter.delivery_id).where(TransactionalLetter.owner_id == owner_id)
    return db.session.scalar(own.limit(1)) is not None


def export_attempts(log_filter: LogFilter) -> Iterator[Sequence[Any]]:
    """Yield the rows of log.csv, header first, up to the latest attempt when the export began.

    Reads chunks by key, each in its own transaction, so that a slow download does not keep one open.
    """
    with_variants = has_test(log_filter)
    yield (*EXPORT_COLUMNS, VARIANT_COLUMN) if with_variants else EXPORT_COLUMNS
    statement = narrow(_export_statement(), log_filter).order_by(Attempt.id)
    last = db.session.scalar(select(func.max(Attempt.id))) or 0
    position = 0
    while True:
        rows = db.session.execute(
            statement.where(Attempt.id > position, Attempt.id <= last).limit(EXPORT_CHUNK)
        ).all()
        db.session.rollback()
        for id, at, mailing, run, email, number, outcome, code, answer, variant in rows:
            row = (format_time(at), mailing, run, email, number, outcome.value, code, answer)
            yield (*row, letter_of(variant) if variant else "") if with_variants else row
            position = id
        if len(rows) < EXPORT_CHUNK:
            return


def _export_statement() -> Select[Any]:
    return (
        select(
            Attempt.id,
            Attempt.at,
            Mailing.name,
            Delivery.run_id,
            Delivery.email,
            Attempt.number,
            Attempt.outcome,
            Attempt.code,
            Attempt.answer,
            func.coalesce(Delivery.variant, Run.winner),
        )
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .join(Mailing, Mailing.id == Attempt.mailing_id)
        .join(Run, Run.id == Delivery.run_id)
    )


def format_time(moment: datetime) -> str:
    """Format a UTC time in ISO 8601, such as 2026-11-22T10:00:00.123Z."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True)
class MailingChoices:
    """IDs and names of mailings, newest first; `is_complete` is False if older ones are missing."""

    mailings: list[tuple[int, str]]
    is_complete: bool


def list_mailing_choices(owner: User, chosen_id: int) -> MailingChoices:
    """Return the owner's latest mailings, and the chosen one even if it is older."""
    statement = (
        select(Mailing.id, Mailing.name)
        .where(Mailing.owner_id == owner.id, Mailing.kind == MailingKind.MAILING)
        .order_by(Mailing.id.desc())
    )
    latest = [(id, name) for id, name in db.session.execute(statement.limit(MAILINGS_LISTED + 1))]
    listed = latest[:MAILINGS_LISTED]
    if chosen_id not in dict(listed):
        listed += [(id, name) for id, name in db.session.execute(statement.where(Mailing.id == chosen_id))]
    return MailingChoices(listed, is_complete=len(latest) <= MAILINGS_LISTED)
