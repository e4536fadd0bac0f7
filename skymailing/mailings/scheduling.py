"""Schedule a mailing's next run after its times have been set or changed. The caller has locked its row."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, select

from skymailing.delivery import plan, reputation
from skymailing.delivery.calendar import starts
from skymailing.delivery.calendar.recurrence import (
    Recurrence,
    find_next_occurrence,
    find_occurrence,
    find_occurrence_number,
)
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.extensions import db
from skymailing.mailings.values import is_same_second
from skymailing.models import (
    MAILING_TRANSITIONS,
    OPEN_RUN_STATES,
    Mailing,
    MailingState,
    Periodicity,
    Run,
    RunState,
    User,
)


def reschedule(mailing: Mailing, now: datetime, *, has_new_times: bool = False) -> None:
    """Set a mailing's next run according to its times and window.

    `has_new_times` means that the start or the recurrence has changed: past occurrences of the new
    times do not count as missed, so no run makes up for them. A draft or cancelled mailing has no next
    run; a finished one continues if another run fits into its window.
    """
    mailing.zones_checked_until = None  # known for the old times only
    if mailing.state in (MailingState.DRAFT, MailingState.CANCELLED):
        return
    has_new_times = has_new_times or mailing.state is MailingState.FINISHED
    next_start = mailing.next_run_at
    if next_start is None or has_new_times:
        zone = ZoneInfo(mailing.owner.timezone)
        next_start = find_first_start(
            mailing, zone, find_last_slot(mailing), now, has_new_times=has_new_times
        )
    if has_open_run(mailing):
        # When the run ends, the mailing continues with the time that is set here.
        mailing.next_run_at = next_start if has_new_times else mailing.next_run_at
    elif now >= mailing.ends_at or next_start is None or next_start >= mailing.ends_at:
        if mailing.state is not MailingState.FINISHED:
            plan.finish_unsent(mailing, now, has_run=bool(mailing.runs))
    else:
        _schedule(mailing, next_start, now)


def _schedule(mailing: Mailing, next_start: datetime, now: datetime) -> None:
    # A mailing that is set up after its start time begins now; that is not a late start.
    mailing.next_run_at = max(next_start, now)
    if mailing.state is MailingState.FINISHED:
        MAILING_TRANSITIONS.move(mailing, MailingState.SCHEDULED)
        mailing.state_reason = ""
        reputation.restart(db.session.connection(), mailing.owner_id, now)


def move_to_zone(owner: User, old: ZoneInfo, now: datetime) -> None:
    """Move the owner's mailings from the time zone `old` to the current one.

    The next occurrence keeps its number, counted from the first start, and moves to the same hour in
    the new zone. If it were looked up by time instead, an occurrence might be repeated or skipped.
    """
    zone = ZoneInfo(owner.timezone)
    is_active = Mailing.state.in_([MailingState.SCHEDULED, MailingState.RUNNING, MailingState.PAUSED])
    recurring = Mailing.periodicity != Periodicity.ONCE
    statement = select(Mailing).where(Mailing.owner_id == owner.id, is_active, recurring)
    locked = statement.order_by(Mailing.id).with_for_update().execution_options(populate_existing=True)
    for mailing in db.session.scalars(locked).all():
        times = mailing.starts_at, Recurrence.of(mailing)
        next_start = mailing.next_run_at or find_first_start(mailing, old, find_last_slot(mailing), now)
        number = find_occurrence_number(*times, old, next_start) if next_start else None
        if number is None:
            continue  # started by hand or late: due at a fixed time
        moved = find_occurrence(*times, zone, number)
        if moved != next_start or mailing.next_run_at is None:
            mailing.next_run_at = moved
            reschedule(mailing, now)


def find_first_start(
    mailing: Mailing, zone: ZoneInfo, slot: datetime | None, now: datetime, *, has_new_times: bool = False
) -> datetime | None:
    """Return the first occurrence without a run; `slot` is the last one that has had a run."""
    rule = Recurrence.of(mailing)
    if slot is None:
        return find_occurrence(mailing.starts_at, rule, zone, 0)
    if rule is None:
        return mailing.starts_at if mailing.starts_at > slot else None
    if not has_new_times:
        hours = SendingHours(mailing.weekdays, mailing.opens_at, mailing.closes_at, zone)
        return starts.find_next_start(mailing, hours, slot)
    # An occurrence at exactly this time is not past: an empty start means now.
    return find_next_occurrence(mailing.starts_at, rule, zone, max(slot, now - datetime.resolution))


def find_start_after_change(
    mailing: Mailing | None, changed: Mailing, now: datetime, zone: ZoneInfo
) -> datetime | None:
    """Return when a mailing would start next with the times of `changed`, by the rules of `reschedule`.

    `mailing` is None for a new one.
    """
    if mailing is None:
        return find_first_start(changed, zone, None, now)
    has_new_times = (
        not is_same_second(changed.starts_at, mailing.starts_at)
        or Recurrence.of(changed) != Recurrence.of(mailing)
        or mailing.state is MailingState.FINISHED
    )
    if mailing.next_run_at is not None and not has_new_times:
        return mailing.next_run_at
    return find_first_start(changed, zone, find_last_slot(mailing), now, has_new_times=has_new_times)


def find_last_slot(mailing: Mailing) -> datetime | None:
    """Return the latest occurrence that has had a run or was skipped."""
    return db.session.scalar(select(func.max(Run.scheduled_for)).where(Run.mailing_id == mailing.id))


def has_open_run(mailing: Mailing) -> bool:
    """Return whether a run is planned or being sent, even if paused."""
    is_open = Run.state.in_(OPEN_RUN_STATES)
    return bool(db.session.scalar(select(exists().where(Run.mailing_id == mailing.id, is_open))))


def has_happened(mailing: Mailing) -> bool:
    """Return whether this is a one-time mailing that has run and cannot start again."""
    if mailing.periodicity is not Periodicity.ONCE:
        return False
    was_run = (Run.mailing_id == mailing.id) & (Run.state != RunState.SKIPPED)
    return bool(db.session.scalar(select(exists().where(was_run))))
