"""Maintain a run's counts together with its deliveries, so that no page counts a million rows.

Code that changes deliveries or inserts attempts updates the counts in the same transaction, as its last step:
rows stay locked until the commit. Each process counts in its own rows, so that a worker whose host fails
within a transaction does not block other workers; only refusals by domain are shared.
"""

import hashlib
import os
import platform
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from sqlalchemy import ColumnElement, Connection, case, select

from skymailing.db.engine import insert_into
from skymailing.db.upserts import Insert, Upsert
from skymailing.models import (
    CAUGHT_KINDS,
    COUNTED_STATES,
    NO_OWNER,
    Attempt,
    Delivery,
    DeliveryState,
    Mailing,
    Outcome,
    Run,
    RunAnswer,
    RunDomain,
    RunInterval,
)
from skymailing.models.base import Model

Answer = tuple[Outcome, int | None, str]

# The width of an interval, in seconds, by its distance from the start of the run: a short run is
# counted second by second; a run that lasts days needs a few hundred rows. Each width divides the next,
# and the widest divides a day in every time zone.
WIDTHS = ((timedelta(hours=2), 900), (timedelta(minutes=10), 60), (timedelta(minutes=1), 10))
FINEST_WIDTH = 1
QUARTER_HOUR = 900
ROWS_PER_INTERVAL = 400_000  # microseconds: PostgreSQL rounds up from half a second

MAX_REPLIES = 20  # different replies per window; limits the rows if a server never repeats a reply
MAX_REPLY_LENGTH = 200
SEARCHED_LENGTH = 600  # characters of a reply that are searched; VARIABLE takes quadratic time
ELLIPSIS = "…"  # replaces the parts of a reply that differ, and replies that are not listed
DOMAIN_LENGTH = 255
# The parts of a reply that differ between letters: addresses, links, and IDs, which are long numbers
# or have at least six characters and a digit. Status codes such as 5.1.1 are shorter.
VARIABLE = re.compile(
    r"<[^<>\s]*>|\S+@\S+|https?://\S+|\b(?=[\w-]*\d)[\w-]{6,}\b|\b\d{4,}\b|\b\d+\.\d+\.\d+\.\d+\b"
)


@dataclass(frozen=True, slots=True)
class RunKey:
    """A run and the columns that its rows copy."""

    id: int
    mailing_id: int
    owner_id: int  # the owner whose reports count it, see `Mailing.counted_owner_id`
    started_at: datetime


class Changes:
    """Changes to a run's counts within one transaction; `write` is its last step.

    With `is_shared`, all processes count in the same rows. This is for short-lived processes, such as those
    that each receive one returned letter.
    """

    def __init__(self, run: RunKey, *, is_shared: bool = False) -> None:
        self.run = run
        self._row = (lambda begin: begin) if is_shared else get_own_row
        self._keys = {"run_id": run.id, "mailing_id": run.mailing_id, "owner_id": run.owner_id}
        self._intervals: dict[datetime, Counter[str]] = defaultdict(Counter)
        self._answers: Counter[tuple[datetime, Outcome, int | None, str]] = Counter()
        self._domains: dict[str, Counter[str]] = defaultdict(Counter)

    def move(self, state: DeliveryState, count: int, at: datetime) -> None:
        """Count deliveries that entered `state`, or left it if `count` is negative."""
        if state in COUNTED_STATES:
            self.add(state.value, count, at)

    def add(self, column: str, count: int, at: datetime) -> None:
        """Add to a column of the interval that contains `at`."""
        if count:
            self._intervals[get_interval_start(at, self.run.started_at)][column] += count

    def add_refusal(self, outcome: Outcome, code: int | None, answer: str, email: str, at: datetime) -> None:
        """Count an attempt in which the server did not accept the letter, or may not have."""
        self._answers[floor_to(at, QUARTER_HOUR), outcome, code, answer] += 1
        self._domains[email.rpartition("@")[2].lower()[:DOMAIN_LENGTH]][outcome.value] += 1

    def total(self, column: str) -> int:
        """Return the change of a column, added up over all intervals."""
        return sum(columns[column] for columns in self._intervals.values())

    def write(self, connection: Connection) -> None:
        """Write the counts, always in the same order so that workers cannot deadlock."""
        origin = floor_to(self.run.started_at, FINEST_WIDTH)
        intervals = [
            self._keys
            | {"begins_at": self._row(begin), "elapsed": int((begin - origin).total_seconds())}
            | columns
            for begin, columns in sorted(self._intervals.items())
        ]
        _increase(connection, RunInterval, intervals)
        _increase(connection, RunAnswer, self._list_answer_rows())
        domains = [
            {"run_id": self.run.id, "domain": domain} | columns
            for domain, columns in sorted(self._domains.items())
        ]
        _increase(connection, RunDomain, domains)

    def _list_answer_rows(self) -> list[dict[str, object]]:
        grouped: dict[datetime, Counter[Answer]] = defaultdict(Counter)
        for (begin, outcome, code, answer), count in self._answers.items():
            grouped[begin][outcome, code, generalize_reply(answer)] += count
        rows = []
        for begin, answers in grouped.items():
            shown = dict(answers.most_common(MAX_REPLIES))
            merged: Counter[Answer] = Counter()
            for (outcome, code, words), count in answers.items():
                is_shown = (outcome, code, words) in shown
                merged[outcome, code, words if is_shown else ELLIPSIS] += count
            for (outcome, code, words), count in merged.items():
                counted = {"outcome": outcome, "code": code, "words": words, "attempts": count}
                key = {"begins_at": self._row(begin), "fingerprint": _make_fingerprint(outcome, code, words)}
                rows.append(self._keys | key | counted)
        return sorted(rows, key=lambda row: (row["begins_at"], row["fingerprint"]))


def get_interval_start(at: datetime, started_at: datetime) -> datetime:
    """Return the beginning of the interval in which an event at `at` is counted."""
    return floor_to(at, get_interval_width(at, started_at))


def get_own_row(begin: datetime) -> datetime:
    """Return the time of this process's row in an interval: up to 0.4 s after its beginning.

    No two processes share a row, and sums over runs, days and mailings stay the same.
    """
    return begin + timedelta(microseconds=_choose_microseconds(os.getpid()))


@cache
def _choose_microseconds(process: int) -> int:
    digest = hashlib.blake2b(f"{platform.node()} {process}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % ROWS_PER_INTERVAL


def get_interval_width(at: datetime, started_at: datetime) -> int:
    """Return the width, in seconds, of the interval in which an event at `at` is counted."""
    for distance, width in WIDTHS:
        # The whole interval must be at least this far away, so that wide intervals never overlap
        # narrow ones.
        if abs(floor_to(at, width) - started_at) >= distance:
            return width
    return FINEST_WIDTH


def generalize_reply(answer: str) -> str:
    """Return a reply without its variable parts: "5.1.1 <anna@example.org> no" gives "5.1.1 … no"."""
    answer = answer[:SEARCHED_LENGTH]
    status, space, text = answer.partition(" ")
    if not re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", status):
        status, space, text = "", "", answer
    return (status + space + " ".join(VARIABLE.sub(ELLIPSIS, text).split()))[:MAX_REPLY_LENGTH]


def run_keys(connection: Connection, run_ids: Iterable[int]) -> list[RunKey]:
    """Return the keys of the runs, in the order in which their counts must be written."""
    statement = (
        select(Run.id, Run.mailing_id, _counted_owner_id(), Run.started_at)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(Run.id.in_(run_ids))
        .order_by(Run.id)
    )
    return [RunKey(*row) for row in connection.execute(statement).tuples()]


def _counted_owner_id() -> ColumnElement[int]:
    return case((Mailing.kind.in_(CAUGHT_KINDS), NO_OWNER), else_=Mailing.owner_id)


def find_unknown_since(connection: Connection, ids: list[int]) -> dict[int, datetime]:
    """Return when unknown deliveries became unknown: the time of their last attempt."""
    statement = (
        select(Delivery.id, Attempt.at)
        .join(Attempt, (Attempt.delivery_id == Delivery.id) & (Attempt.number == Delivery.attempts))
        .where(Delivery.id.in_(ids))
    )
    return dict(connection.execute(statement).tuples().all())


def _increase(connection: Connection, model: type[Model], rows: Sequence[Mapping[str, object]]) -> None:
    """Add each row's counts to the stored row with its key; insert rows that do not exist yet."""
    if not rows:
        return
    zeros: dict[str, object] = dict.fromkeys(_list_counters(model), 0)
    _upsert_counts(model).execute(connection, [zeros | dict(row) for row in rows])


@cache
def _upsert_counts(model: type[Model]) -> Upsert:
    def make() -> Insert:
        statement, table = insert_into(model), model.__table__
        return statement.on_conflict_do_update(
            index_elements=[column.name for column in table.primary_key],
            set_={name: table.c[name] + statement.excluded[name] for name in _list_counters(model)},
        )

    return Upsert(make)


def _list_counters(model: type[Model]) -> list[str]:
    return [column.name for column in model.__table__.columns if column.default is not None]


def _make_fingerprint(outcome: Outcome, code: int | None, words: str) -> str:
    return hashlib.blake2b(f"{outcome} {code} {words}".encode(), digest_size=16).hexdigest()


def floor_to(moment: datetime, seconds: int) -> datetime:
    """Return `moment` rounded down to a multiple of `seconds` since 1970, in UTC."""
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)
