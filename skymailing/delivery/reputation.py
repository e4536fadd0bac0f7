"""Pause an owner's mailings when too many of their letters bounce or are reported as spam.

Letters, hard bounces and complaints are counted by the hour in which the letter was sent. A check therefore
reads only a few rows, and a report that arrives days later still counts for its letter.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import insert_into, reading_engine
from skymailing.db.upserts import Insert, Upsert
from skymailing.delivery.run_events import report_all_paused
from skymailing.extensions import db
from skymailing.models import (
    CAUGHT_KINDS,
    RATED_KINDS,
    Mailing,
    MailingState,
    Reputation,
    StateReason,
    UsageHour,
    UsageKind,
)
from skymailing.quotas import counting
from skymailing.settings.reputation import reputation_settings

# Only the latest hours that together have this many letters are rated.
RATED_LETTERS = 1000
RATED_TIME = timedelta(days=30)
# With fewer letters, a percentage says little: one bounce in ten letters must not stop a small shop.
MIN_LETTERS = 100
MIN_BOUNCES = 10
MIN_COMPLAINTS = 3
ACTIVE_STATES = (MailingState.SCHEDULED, MailingState.RUNNING)
BATCH = 100  # owners per sweep

# The columns of Reputation with the counts from before `counted_since`.
EARLIER_COUNTS = {
    UsageKind.LETTERS: Reputation.earlier_letters,
    UsageKind.BOUNCES: Reputation.earlier_bounces,
    UsageKind.COMPLAINTS: Reputation.earlier_complaints,
}


@dataclass(frozen=True, slots=True)
class Rates:
    """An owner's latest letters, and how many of them bounced hard or were reported as spam."""

    letters: int = 0
    bounces: int = 0
    complaints: int = 0

    def find_excess(self) -> str:
        """Return the StateReason with its detail if there are too many, otherwise an empty string."""
        settings = reputation_settings()
        for reason, count, minimum, percent in (
            (
                StateReason.TOO_MANY_COMPLAINTS,
                self.complaints,
                MIN_COMPLAINTS,
                settings.pause_at_complaints,
            ),
            (StateReason.TOO_MANY_BOUNCES, self.bounces, MIN_BOUNCES, settings.pause_at_bounces),
        ):
            is_enough = self.letters >= MIN_LETTERS and count >= minimum
            if percent and is_enough and count * 100 > self.letters * percent:
                return f"{reason}: {count}/{self.letters}"
        return ""


def count_problems(
    connection: Connection,
    owner_id: int,
    sent_at: Mapping[UsageKind, Sequence[datetime]],
    now: datetime,
) -> None:
    """Count hard bounces and complaints about letters that were sent at these times, for the next sweep.

    Locks the owner's rows until the commit, so call it at the end of a transaction, and once per owner: the
    row of the reputation must be locked after the counts of all kinds.
    """
    for kind, times in sorted(sent_at.items()):
        for hour, count in sorted(Counter(map(counting.hour_of, times)).items()):
            counting.add(connection, owner_id, kind, count, hour)
    row = {"owner_id": owner_id, "changed_at": now}
    counted_since = UPSERT_REPUTATION.execute(connection, [row]).scalar_one()
    if counted_since is None:
        return
    # Letters that were sent before the owner resumed the mailings, in the same hour.
    hour = counting.hour_of(counted_since)
    counts = {
        EARLIER_COUNTS[kind]: sum(hour <= time < counted_since for time in times)
        for kind, times in sent_at.items()
    }
    if any(counts.values()):
        statement = update(Reputation).where(Reputation.owner_id == owner_id)
        connection.execute(statement.values({column.key: column + count for column, count in counts.items()}))


def _upsert_reputation() -> Insert:
    statement = insert_into(Reputation)
    changed = {"changed_at": statement.excluded["changed_at"]}
    return statement.on_conflict_do_update(index_elements=["owner_id"], set_=changed)


UPSERT_REPUTATION = Upsert(_upsert_reputation, Reputation.counted_since)


def measure(connection: Connection, owner_id: int, now: datetime) -> Rates:
    """Return the rates of the owner's latest hours that together have RATED_LETTERS letters."""
    reputation = connection.execute(
        select(Reputation.counted_since, *EARLIER_COUNTS.values()).where(Reputation.owner_id == owner_id)
    ).one_or_none()
    first = counting.hour_of(now - RATED_TIME)
    totals = dict.fromkeys(RATED_KINDS, 0)
    partial = None
    if reputation is not None and reputation.counted_since is not None:
        partial = counting.hour_of(reputation.counted_since)
        first = max(first, partial)
    hours: dict[datetime, dict[str, int]] = {}
    rows = connection.execute(
        select(UsageHour.begins_at, UsageHour.kind, UsageHour.count)
        .where(UsageHour.owner_id == owner_id, UsageHour.kind.in_(RATED_KINDS), UsageHour.begins_at >= first)
        .order_by(UsageHour.begins_at.desc())
    ).tuples()
    for begins_at, kind, count in rows:
        hours.setdefault(begins_at, {})[kind] = count
    for begins_at, counts in hours.items():
        if totals[UsageKind.LETTERS] >= RATED_LETTERS:
            break
        for kind in RATED_KINDS:
            totals[kind] += counts.get(kind, 0)
            if begins_at == partial and reputation is not None:
                totals[kind] -= getattr(reputation, EARLIER_COUNTS[kind].key)
    return Rates(*(totals[kind] for kind in RATED_KINDS))


def pause_if_needed(owner_id: int, now: datetime) -> None:
    """Pause the owner's active mailings if too many letters bounced or were reported as spam."""
    with reading_engine().connect() as connection:
        if not measure(connection, owner_id, now).find_excess():
            return
    with Session(db.engine) as session, session.begin():
        # Mailings are locked before the reputation, as when an owner resumes one.
        is_active = (Mailing.owner_id == owner_id) & Mailing.state.in_(ACTIVE_STATES)
        is_active &= Mailing.kind.not_in(CAUGHT_KINDS)
        locked = select(Mailing.id, Mailing.name).where(is_active).order_by(Mailing.id).with_for_update()
        active = session.execute(locked).tuples().all()
        # Measured again: the owner may have resumed since.
        if not active or not (reason := measure(session.connection(), owner_id, now).find_excess()):
            return
        for statement in (
            update(Mailing).where(is_active).values(state=MailingState.PAUSED, state_reason=reason),
            update(Reputation)
            .where(Reputation.owner_id == owner_id)
            .values(paused_at=now, pause_reason=reason, is_notice_due=True),
        ):
            session.execute(statement, execution_options={"synchronize_session": False})
        report_all_paused(session.connection(), owner_id, active, reason, now)


def check_changed(now: datetime) -> None:
    """Check the owners whose bounces or complaints were counted since the last sweep."""
    changed = select(Reputation.owner_id, Reputation.changed_at).where(Reputation.changed_at.is_not(None))
    with reading_engine().connect() as connection:
        rows = connection.execute(changed.order_by(Reputation.changed_at).limit(BATCH)).all()
    for owner_id, changed_at in rows:
        pause_if_needed(owner_id, now)
        # Cleared after the check, so that it is repeated after a crash; a later change is left for the next
        # sweep.
        is_same = (Reputation.owner_id == owner_id) & (Reputation.changed_at == changed_at)
        with db.engine.begin() as connection:
            connection.execute(update(Reputation).where(is_same).values(changed_at=None))


def restart(connection: Connection, owner_id: int, now: datetime, *, is_reason_seen: bool = False) -> bool:
    """Restart the counts when the owner resumes after a pause; return False if there was no pause.

    An owner who has neither seen the reason nor been notified does not know of the pause, so it continues.
    This hour's counts include letters that were sent before the restart, so those are subtracted.
    """
    is_paused = (Reputation.owner_id == owner_id) & Reputation.paused_at.is_not(None)
    if not is_reason_seen:
        is_paused &= ~Reputation.is_notice_due
    if connection.scalar(select(Reputation.owner_id).where(is_paused).with_for_update()) is None:
        return False
    is_now = (UsageHour.owner_id == owner_id) & (UsageHour.begins_at == counting.hour_of(now))
    counts = dict(connection.execute(select(UsageHour.kind, UsageHour.count).where(is_now)).tuples().all())
    earlier = {column.key: counts.get(kind, 0) for kind, column in EARLIER_COUNTS.items()}
    connection.execute(
        update(Reputation)
        .where(Reputation.owner_id == owner_id)
        .values(counted_since=now, paused_at=None, pause_reason="", is_notice_due=False, **earlier)
    )
    return True
