"""A due mailing becomes a run with its deliveries, and a run that is over ends."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from skymailing.delivery.calendar.recurrence import latest_occurrence, next_occurrence
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.ledger import reconciliation, record
from skymailing.delivery.ledger.statistics import RunKey
from skymailing.extensions import db
from skymailing.models import (
    MAILING_TRANSITIONS,
    RUN_TRANSITIONS,
    DeliveryState,
    Mailing,
    MailingState,
    OnLate,
    Run,
    RunState,
    StateReason,
    User,
)
from skymailing.settings.engine import engine_settings


def start_due_run(mailing_id: int, now: datetime) -> int | None:
    """Plan the run of a mailing that is due; return its id, or None when there is nothing to do.

    Safe to call at any time and from several places at once: the mailing's row is locked, and
    whoever comes second finds it running.
    """
    with Session(db.engine) as session, session.begin():
        mailing = session.scalar(
            select(Mailing)
            .join(User, User.id == Mailing.owner_id)
            .where(Mailing.id == mailing_id, Mailing.disabled_at.is_(None), User.blocked_at.is_(None))
            .with_for_update(of=Mailing)
        )
        if mailing is None or mailing.state is not MailingState.SCHEDULED:
            return None
        if now >= mailing.ends_at:
            end_unsent(mailing)
            return None
        if mailing.next_run_at is None or mailing.next_run_at > now:
            return None
        late_after = timedelta(minutes=engine_settings().late_minutes)
        if mailing.on_late is OnLate.SKIP and now - mailing.next_run_at > late_after:
            _skip(session, mailing, now)
            return None
        return _plan(session, mailing, now)


def _skip(session: Session, mailing: Mailing, now: datetime) -> None:
    """Let a start that comes too late pass by, which stands among the mailing's runs."""
    run = _new_run(session, mailing, now)
    run.state, run.finished_at = RunState.SKIPPED, now
    session.add(run)
    session.flush()
    mailing.next_run_at = None
    _move_on(mailing, run, now)
    mailing.state_reason = StateReason.TOO_LATE


def _new_run(session: Session, mailing: Mailing, now: datetime) -> Run:
    message = mailing.message
    return Run(
        mailing_id=mailing.id,
        scheduled_for=_slot(session, mailing, now),
        started_at=now,
        subject=message.subject,
        format=message.format,
        body=message.body,
        sender_name=mailing.sender_name or mailing.owner.sender_name,
        reply_to=mailing.owner.email,
    )


def _plan(session: Session, mailing: Mailing, now: datetime) -> int:
    run = _new_run(session, mailing, now)
    session.add(run)
    session.flush()
    key = RunKey(run.id, mailing.id, mailing.owner_id, now)
    run.planned = record.insert_deliveries(session.connection(), key, mailing, now)
    mailing.next_run_at = None
    MAILING_TRANSITIONS.move(mailing, MailingState.RUNNING)
    mailing.state_reason = ""
    return run.id


def _slot(session: Session, mailing: Mailing, now: datetime) -> datetime:
    """Return the occurrence that a run starting now stands for: of several missed ones the last.

    A start by hand, after that one has had its run, stands for itself.
    """
    assert mailing.next_run_at is not None
    latest = latest_occurrence(mailing.starts_at, mailing.periodicity, _zone(mailing), now)
    had_it = exists().where(Run.mailing_id == mailing.id, Run.scheduled_for >= latest)
    return mailing.next_run_at if session.scalar(select(had_it)) else latest


def _zone(mailing: Mailing) -> ZoneInfo:
    return ZoneInfo(mailing.owner.timezone)


def end_unsent(mailing: Mailing) -> None:
    """Finish a mailing whose window was over before its next run could start."""
    mailing.next_run_at = None
    MAILING_TRANSITIONS.move(mailing, MailingState.FINISHED)
    if not mailing.runs:
        mailing.state_reason = StateReason.WINDOW_OVER


def settle_run(run_id: int, now: datetime) -> bool:
    """Bring a run to the end that its mailing asks for; return whether it has ended.

    What waits expires when the window is over and is cancelled with its mailing; a run with
    nothing open is finished, and its mailing goes on to the next occurrence or is finished too.
    """
    while _close_some(run_id, now):
        pass
    with Session(db.engine) as session, session.begin():
        run, mailing = _locked_run(session, run_id)
        if run is None or mailing is None or run.state in (RunState.FINISHED, RunState.CANCELLED):
            return True
        if record.is_open(session.connection(), run_id):
            return False
        cancelled = mailing.state is MailingState.CANCELLED
        RUN_TRANSITIONS.move(run, RunState.CANCELLED if cancelled else RunState.FINISHED)
        run.finished_at = now
        reconciliation.verify(
            session.connection(), RunKey(run.id, mailing.id, mailing.owner_id, run.started_at)
        )
        if not cancelled:
            _move_on(mailing, run, now)
        return True


def _close_some(run_id: int, now: datetime) -> int:
    with Session(db.engine) as session, session.begin():
        run, mailing = _locked_run(session, run_id)
        if run is None or mailing is None:
            return 0
        if mailing.state is MailingState.CANCELLED:
            state = DeliveryState.CANCELLED
        elif now >= mailing.ends_at:
            state = DeliveryState.EXPIRED
        else:
            return 0
        key = RunKey(run.id, mailing.id, mailing.owner_id, run.started_at)
        return record.close_waiting(session.connection(), key, state, now)


def _locked_run(session: Session, run_id: int) -> tuple[Run | None, Mailing | None]:
    run = session.get(Run, run_id)
    if run is None:
        return None, None
    mailing = session.scalar(select(Mailing).where(Mailing.id == run.mailing_id).with_for_update())
    session.refresh(run)
    return run, mailing


def following_start(mailing: Mailing, hours: SendingHours, slot: datetime) -> datetime | None:
    """Return the first occurrence after `slot` whose letters would leave later than those of `slot`.

    What rests until the same opening is one run: of a daily mailing that sends from Monday to Friday,
    Monday morning brings one letter, not those of Saturday and Sunday as well.
    """
    opening = hours.next_opening(slot)
    following = next_occurrence(mailing.starts_at, mailing.periodicity, hours.zone, slot)
    while following is not None and opening is not None and hours.next_opening(following) == opening:
        following = next_occurrence(mailing.starts_at, mailing.periodicity, hours.zone, following)
    return following


def _move_on(mailing: Mailing, run: Run, now: datetime) -> None:
    # What comes next may be settled already, by a change of the mailing's times meanwhile, or from
    # before when this run was taken up again.
    following = mailing.next_run_at or following_start(mailing, SendingHours.of(mailing), run.scheduled_for)
    if following is not None and following <= now:
        # Missed while the run was under way: one run makes up for all of them.
        latest = latest_occurrence(mailing.starts_at, mailing.periodicity, _zone(mailing), now)
        following = max(following, latest)
    if following is not None and following < mailing.ends_at:
        mailing.next_run_at = following
        if mailing.state is MailingState.RUNNING:
            MAILING_TRANSITIONS.move(mailing, MailingState.SCHEDULED)
    elif mailing.state is not MailingState.FINISHED:
        mailing.next_run_at = None
        MAILING_TRANSITIONS.move(mailing, MailingState.FINISHED)
        if not run.planned:
            mailing.state_reason = StateReason.NO_CLIENTS


def pause_by_itself(run_id: int, reason: StateReason, detail: str) -> None:
    """Pause the mailing whose next letters would fare no better, whoever they are for."""
    with Session(db.engine) as session, session.begin():
        run, mailing = _locked_run(session, run_id)
        if run is not None and mailing is not None and mailing.state is MailingState.RUNNING:
            MAILING_TRANSITIONS.move(mailing, MailingState.PAUSED)
            mailing.state_reason = f"{reason}: {detail}"[:500]
