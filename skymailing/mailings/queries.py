"""Queries for the mailing pages."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, func, select
from sqlalchemy.orm import joinedload

from skymailing.clients.search.finding import list_found
from skymailing.db.pagination import Order, Page, paginate
from skymailing.db.text_search import contains_text
from skymailing.delivery.audience.recipients import is_suppressed
from skymailing.extensions import db
from skymailing.mailings.outcomes import Outcomes
from skymailing.mailings.selection import Conditions, Selection
from skymailing.models import (
    COUNTED_STATES,
    OPEN_DELIVERY_STATES,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    Message,
    Run,
    RunInterval,
    RunState,
    SequenceStep,
    Suppression,
    User,
)
from skymailing.web.subjects import readable_subject

SORTS: dict[str, Order] = {
    "name": [(func.lower(Mailing.name, type_=String), False), (Mailing.id, False)],
    "-name": [(func.lower(Mailing.name, type_=String), True), (Mailing.id, True)],
    "starts_at": [(Mailing.starts_at, False), (Mailing.id, False)],
    "-starts_at": [(Mailing.starts_at, True), (Mailing.id, True)],
    "created": [(Mailing.id, False)],
    "-created": [(Mailing.id, True)],
}
DEFAULT_SORT = "-created"
SHOWN_RUNS = 20
MATCHES_SHOWN = 50
MESSAGES_LISTED = 500
# Unknown letters that need their owner's decision; letters to deleted clients do not.
WAITS_FOR_DECISION = (
    (Delivery.state == DeliveryState.UNKNOWN)
    & Delivery.finished_at.is_(None)
    & Delivery.client_id.is_not(None)
)


@dataclass(frozen=True)
class Ledger:
    """A run's ledger: the number of planned deliveries, and the number in each state."""

    run: Run
    counts: Mapping[DeliveryState, int] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        return self.run.planned

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def balances(self) -> bool:
        """Whether the states add up to the planned number; `pending` is calculated as the remainder."""
        return self.total == self.planned

    @property
    def open(self) -> int:
        """The number of unfinished deliveries."""
        return sum(self.counts[state] for state in OPEN_DELIVERY_STATES)

    @property
    def done(self) -> int:
        return self.total - self.open

    @property
    def outcomes(self) -> Outcomes:
        counts = {name: self[name] for name in ("sent", "failed", "unknown")}
        return Outcomes.of(counts | {"returned": self.run.returned})

    @property
    def clicked(self) -> int:
        return self.run.clicked

    @property
    def clickable(self) -> int:
        """The number of delivered letters in which clicks are counted."""
        return self.outcomes.delivered if self.run.track_clicks else 0

    @property
    def not_sent(self) -> int:
        """The number of letters that no mail server accepted or refused for good."""
        return self.done - self.counts[DeliveryState.SENT] - self.counts[DeliveryState.FAILED] - self.unknown

    @property
    def was_delivered(self) -> bool:
        """Whether every letter that a mail server was offered was delivered in the end.

        Letters to clients who have left in the meantime were not offered to any.
        """
        delivered = self.outcomes.delivered
        return 0 < delivered == self.total - self.counts[DeliveryState.SUPPRESSED]

    @property
    def percent(self) -> int:
        """The percentage of the run that is done, rounded down so that 100 means all of it."""
        return 100 * self.done // self.total if self.total else 100

    @property
    def unknown(self) -> int:
        return self.counts[DeliveryState.UNKNOWN]

    def __getitem__(self, state: str) -> int:
        return self.counts[DeliveryState(state)]


def list_mailings(owner: User, query: str, state: MailingState | None, sort: str, cursor: str | None) -> Page:
    """Return a page of the owner's mailings that match the query and the state."""
    return paginate(select_mailings(owner.id, MailingKind.MAILING, query, state), SORTS[sort], cursor)


def select_mailings(
    owner_id: int, kind: MailingKind, query: str, state: MailingState | None
) -> Select[tuple[Mailing]]:
    """Return a statement for the owner's mailings of a kind that match the query and the state, if given."""
    statement = select(Mailing).where(Mailing.owner_id == owner_id, Mailing.kind == kind)
    if query:
        statement = statement.where(contains_text(Mailing.name, query))
    if state:
        statement = statement.where(Mailing.state == state)
    return statement


def count_last_runs(mailing_ids: Collection[int], *conditions: ColumnElement[bool]) -> dict[int, Ledger]:
    """Return the ledger of each mailing's last run that meets the conditions, by mailing ID.

    Mailings without such a run are left out.
    """
    newest = select(func.max(Run.id)).where(
        Run.mailing_id.in_(mailing_ids), Run.state != RunState.SKIPPED, *conditions
    )
    runs = select(Run).where(Run.id.in_(newest.group_by(Run.mailing_id).scalar_subquery()))
    return {ledger.run.mailing_id: ledger for ledger in count_runs(db.session.scalars(runs).all())}


def list_runs(mailing: Mailing, cursor: str | None) -> Page:
    """Return a page of the ledgers of the mailing's runs, newest first."""
    statement = select(Run).where(Run.mailing_id == mailing.id)
    page = paginate(statement, [(Run.id, True)], cursor, SHOWN_RUNS)
    return replace(page, items=count_runs(page.items))


def count_last_run(mailing: Mailing) -> Ledger | None:
    """Return the ledger of the current run, or of the last one; None before the first run."""
    return count_last_runs([mailing.id]).get(mailing.id)


def find_finished_runs(*conditions: ColumnElement[bool], fewest: int, limit: int) -> Sequence[Run]:
    """Return the last finished runs of mailings with at least `fewest` letters, newest first.

    The conditions are on `RunInterval`. Only the last `limit` runs are examined. `planned` is counted once
    per run, in the interval in which it starts, so an index on intervals finds an owner's runs by time. The
    table of runs has no such index, and an owner can have tens of thousands.
    """
    starts = (
        select(RunInterval.run_id)
        .join(Mailing, Mailing.id == RunInterval.mailing_id)
        .where(*conditions, RunInterval.planned >= fewest, Mailing.kind == MailingKind.MAILING)
        .order_by(RunInterval.begins_at.desc())
        .limit(limit)
    )
    ids = db.session.scalars(starts).all()
    finished = select(Run).where(Run.id.in_(ids), Run.state == RunState.FINISHED)
    newest_first = finished.order_by(Run.started_at.desc(), Run.id.desc())
    return db.session.scalars(newest_first.options(joinedload(Run.mailing))).all()


def count_runs(runs: Collection[Run]) -> list[Ledger]:
    """Return the ledgers of runs, with all nine states, from the counts that the engine keeps."""
    ids = [run.id for run in runs]
    sums = [func.sum(RunInterval.__table__.c[state.value]) for state in COUNTED_STATES]
    intervals = (
        select(RunInterval.run_id, *sums).where(RunInterval.run_id.in_(ids)).group_by(RunInterval.run_id)
    )
    counted = {row[0]: map(int, row[1:]) for row in db.session.execute(intervals)}
    # Few rows match: only those that workers are sending now.
    is_sending = Delivery.run_id.in_(ids) & (Delivery.state == DeliveryState.SENDING)
    in_progress = select(Delivery.run_id, func.count()).where(is_sending).group_by(Delivery.run_id)
    sending = dict(db.session.execute(in_progress).tuples().all())
    return [
        _make_ledger(run, dict(zip(COUNTED_STATES, counted.get(run.id, ()), strict=False)), sending)
        for run in runs
    ]


def _make_ledger(run: Run, counts: dict[DeliveryState, int], sending: Mapping[int, int]) -> Ledger:
    remainder = run.planned - sum(counts.values())
    # Results may have been recorded between the two statements.
    counts[DeliveryState.SENDING] = min(sending.get(run.id, 0), max(0, remainder))
    counts[DeliveryState.PENDING] = max(0, remainder - counts[DeliveryState.SENDING])
    return Ledger(run, dict.fromkeys(DeliveryState, 0) | counts)


def may_resend(mailing: Mailing, now: datetime) -> bool:
    """Return whether letters of the last run may be sent again."""
    return mailing.state is not MailingState.CANCELLED and mailing.ends_at > now


def count_waiting_unknowns(mailing: Mailing) -> int:
    """Return how many unknown letters of the last run need their owner's decision."""
    is_last = (Run.mailing_id == mailing.id) & (Run.state != RunState.SKIPPED)
    last = select(func.max(Run.id)).where(is_last).scalar_subquery()
    statement = select(func.count()).select_from(Delivery).where(Delivery.run_id == last, WAITS_FOR_DECISION)
    return db.session.scalar(statement) or 0


def list_matching_clients(owner: User, query: str, after: int) -> list[Client]:
    """Return the next matches in order of ID; one more than the page shows means that there are more."""
    statement = list_found(owner.id, query).where(Client.id > after)
    return list(db.session.scalars(statement.order_by(Client.id).limit(MATCHES_SHOWN + 1)))


def list_selected_clients(owner: User, selection: Selection, after: int) -> list[Client]:
    """Return the next selected clients in order of ID; one more than the page shows means more follow."""
    statement = select(Client).where(Client.owner_id == owner.id, Client.id > after).order_by(Client.id)
    selected: list[Client] = []
    for condition in selection.conditions():
        selected += db.session.scalars(statement.where(condition).limit(MATCHES_SHOWN + 1))
    return sorted(selected, key=lambda client: client.id)[: MATCHES_SHOWN + 1]


def select_mailable_clients(owner: User) -> Select[tuple[Client]]:
    """Select the owner's clients who may get letters, oldest first."""
    return select(Client).where(Client.owner_id == owner.id, ~is_suppressed()).order_by(Client.id)


def find_first_recipient(owner: User, conditions: Conditions) -> Client | None:
    """Return the first client in the audience who would get a letter."""
    mailable = select_mailable_clients(owner).limit(1)
    first_matches = (db.session.scalar(mailable.where(condition)) for condition in conditions)
    return next((client for client in first_matches if client), None)


def find_suppressed_keys(owner: User, keys: Collection[str]) -> set[str]:
    """Return the address keys, among these, that are suppressed for the owner."""
    return set(
        db.session.scalars(
            select(Suppression.email_key).where(
                Suppression.owner_id == owner.id, Suppression.email_key.in_(keys)
            )
        )
    )


def list_message_choices(owner: User, chosen: int | None = None) -> list[tuple[int, str]]:
    """Return the IDs and readable subjects of the owner's latest messages and of the chosen one."""
    statement = select(Message.id, Message.subject).where(Message.owner_id == owner.id)
    latest = statement.order_by(Message.id.desc()).limit(MESSAGES_LISTED)
    listed = list(db.session.execute(latest).tuples())
    if chosen is not None and all(id != chosen for id, _subject in listed):
        # Without the chosen message, saving the form would silently replace it with the newest one.
        listed += db.session.execute(statement.where(Message.id == chosen)).tuples()
    return [(id, readable_subject(subject)) for id, subject in listed]


def find_default_tracking(owner_id: int) -> dict[str, Any]:
    """Return what the owner's newest mailing tracks, as the default for the next; empty if there is none."""
    tracked = select(Mailing.track_clicks, Mailing.track_opens)
    tracked = tracked.where(Mailing.owner_id == owner_id, Mailing.kind == MailingKind.MAILING)
    newest = db.session.execute(tracked.order_by(Mailing.id.desc()).limit(1)).one_or_none()
    return dict(newest._mapping) if newest else {}


def find_sequence_id(mailing_id: int) -> int | None:
    """Return the sequence to which the hidden mailing of a step belongs."""
    step = select(SequenceStep.sequence_id).where(SequenceStep.mailing_id == mailing_id)
    return db.session.scalar(step)
