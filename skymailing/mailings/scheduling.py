"""When a mailing's next run is due, after its times were set or changed; its row is locked by the caller."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, select

from skymailing.delivery import plan
from skymailing.delivery.calendar.recurrence import next_occurrence, occurrence, occurrence_number
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.extensions import db
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


def reschedule(mailing: Mailing, now: datetime, *, is_new_course: bool = False) -> None:
    """Make a mailing's next run agree with its times and its window.

    `is_new_course` says that start or periodicity were changed: occurrences of the new course that are
    past already were never missed, and are not made up for. A draft and a cancelled one have no next
    run; a finished one goes on when its window leaves room for another.
    """
    if mailing.state in (MailingState.DRAFT, MailingState.CANCELLED):
        return
    is_new_course = is_new_course or mailing.state is MailingState.FINISHED
    following = mailing.next_run_at
    if following is None or is_new_course:
        zone = ZoneInfo(mailing.owner.timezone)
        following = first_start(mailing, zone, last_slot(mailing), now, is_new_course=is_new_course)
    if has_open_run(mailing):
        # Its end asks again what follows, and takes what is settled here.
        mailing.next_run_at = following if is_new_course else mailing.next_run_at
    elif now >= mailing.ends_at or following is None or following >= mailing.ends_at:
        if mailing.state is not MailingState.FINISHED:
            plan.finish_unsent(mailing)
    else:
        _wait_for(mailing, following, now)


def _wait_for(mailing: Mailing, following: datetime, now: datetime) -> None:
    # Whoever sets it up after its time wants it now: that is no start that comes late.
    mailing.next_run_at = max(following, now)
    if mailing.state is MailingState.FINISHED:
        MAILING_TRANSITIONS.move(mailing, MailingState.SCHEDULED)
        mailing.state_reason = ""


def move_to_zone(owner: User, old: ZoneInfo, now: datetime) -> None:
    """Let the owner's mailings go on by their present time zone, which was `old` before.

    What comes next stays the occurrence that it was, counted from the first start, at the hour of the
    new clock. Sought by its time instead, one might come twice, or not at all.
    """
    zone = ZoneInfo(owner.timezone)
    goes_on = Mailing.state.in_([MailingState.SCHEDULED, MailingState.RUNNING, MailingState.PAUSED])
    recurring = Mailing.periodicity != Periodicity.ONCE
    statement = select(Mailing).where(Mailing.owner_id == owner.id, goes_on, recurring)
    locked = statement.order_by(Mailing.id).with_for_update().execution_options(populate_existing=True)
    for mailing in db.session.scalars(locked).all():
        course = mailing.starts_at, mailing.periodicity
        following = mailing.next_run_at or first_start(mailing, old, last_slot(mailing), now)
        number = occurrence_number(*course, old, following) if following else None
        if number is None:
            continue  # started by hand or late, it is due whatever the clock shows
        moved = occurrence(*course, zone, number)
        if moved != following or mailing.next_run_at is None:
            mailing.next_run_at = moved
            reschedule(mailing, now)


def first_start(
    mailing: Mailing, zone: ZoneInfo, slot: datetime | None, now: datetime, *, is_new_course: bool = False
) -> datetime | None:
    """Return the first occurrence that has not had its run, `slot` being the last that has."""
    if slot is None:
        return mailing.starts_at
    if mailing.periodicity is Periodicity.ONCE:
        return mailing.starts_at if mailing.starts_at > slot else None
    if not is_new_course:
        hours = SendingHours(mailing.weekdays, mailing.opens_at, mailing.closes_at, zone)
        return plan.next_start(mailing, hours, slot)
    # One that falls on this very moment, as when an empty start means now, is not past.
    return next_occurrence(mailing.starts_at, mailing.periodicity, zone, max(slot, now - datetime.resolution))


def first_of_change(mailing: Mailing, wished: Mailing, now: datetime) -> datetime | None:
    """Return when a mailing would start next if its times were those of `wished`, as `reschedule` has it."""
    is_new_course = (
        wished.starts_at.replace(microsecond=0) != mailing.starts_at.replace(microsecond=0)
        or wished.periodicity is not mailing.periodicity
        or mailing.state is MailingState.FINISHED
    )
    if mailing.next_run_at is not None and not is_new_course:
        return mailing.next_run_at
    zone = ZoneInfo(mailing.owner.timezone)
    return first_start(wished, zone, last_slot(mailing), now, is_new_course=is_new_course)


def last_slot(mailing: Mailing) -> datetime | None:
    """Return the latest occurrence that has had its run or was skipped."""
    return db.session.scalar(select(func.max(Run.scheduled_for)).where(Run.mailing_id == mailing.id))


def has_open_run(mailing: Mailing) -> bool:
    """Whether a run is under way, sending or held by a pause."""
    is_open = Run.state.in_(OPEN_RUN_STATES)
    return bool(db.session.scalar(select(exists().where(Run.mailing_id == mailing.id, is_open))))


def is_over(mailing: Mailing) -> bool:
    """Whether the mailing happens once and has happened: nothing of it can start any more."""
    if mailing.periodicity is not Periodicity.ONCE:
        return False
    was_run = (Run.mailing_id == mailing.id) & (Run.state != RunState.SKIPPED)
    return bool(db.session.scalar(select(exists().where(was_run))))
