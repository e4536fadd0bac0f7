"""Plan the run of a due mailing, and finish runs and mailings that are over."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, object_session

from skymailing.delivery import due, lateness, local_runs, plan_batches
from skymailing.delivery.audience.parts import AudienceParts, lock_parts, read_parts
from skymailing.delivery.audience.recipients import Recipients, describe_audience, find_recipients
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.calendar.starts import find_latest_start, find_next_start
from skymailing.delivery.composition.planning import NewBodies, compose_again
from skymailing.delivery.daily_runs import expires_at, has_daily_runs, is_day_over
from skymailing.delivery.eligibility import is_allowed
from skymailing.delivery.ledger import deliveries, reconciliation
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.delivery.run_events import report_finished, report_paused, report_run, report_started
from skymailing.delivery.run_files import add_files, plan_files
from skymailing.delivery.senders import describe_mailing, find_problem
from skymailing.delivery.sequences.late_letters import skip
from skymailing.delivery.variant_planning import begin_test, copy_variants, skip_empty_test
from skymailing.extensions import db
from skymailing.models import (
    LETTER_KINDS,
    MAILING_TRANSITIONS,
    RUN_TRANSITIONS,
    DeliveryState,
    Mailing,
    MailingState,
    OnLate,
    OpenTracking,
    Run,
    RunState,
    StateReason,
    User,
)
from skymailing.settings.engine import engine_settings


def start_due_run(mailing_id: int, now: datetime) -> int | None:
    """Plan the run of a mailing that is due; return its ID, or None if there is nothing to start.

    It is safe to call this at any time and concurrently: the mailing's row is locked, and a second caller
    finds the mailing running.
    """
    if local_runs.waits_for_zones(mailing_id, now):
        return None
    run_id = _start_run(mailing_id, compose_again(mailing_id), now)
    if run_id is not None:
        plan_batches.plan_rest(run_id, now)
    return run_id


def _start_run(mailing_id: int, bodies: NewBodies, now: datetime) -> int | None:
    with Session(db.engine) as session, session.begin():
        mailing = session.scalar(
            select(Mailing)
            .join(User, User.id == Mailing.owner_id)
            .where(Mailing.id == mailing_id, is_allowed())
            .with_for_update(of=Mailing)
        )
        if mailing is None or mailing.state is not MailingState.SCHEDULED:
            return None
        if now >= mailing.ends_at:
            finish_unsent(mailing, now, has_run=bool(mailing.runs))
            return None
        if mailing.next_run_at is None or not local_runs.may_plan(session, mailing, now):
            return None
        if not due.has_room(mailing.owner_id, now):
            return None  # it starts as soon as one of its owner's runs has no letters to send
        late_after = timedelta(minutes=engine_settings().late_minutes)
        if mailing.on_late is OnLate.SKIP and now - mailing.next_run_at > late_after:
            _skip_run(session, mailing, now)
            return None
        if not _has_usable_sender(mailing, now):
            return None
        lock_parts(mailing)
        recipients = find_recipients(mailing, now)
        if recipients.problem is not None:
            _pause(mailing, StateReason.AUDIENCE_BROKEN, now)
            return None
        return _plan_run(session, recipients, bodies, now)


def _has_usable_sender(mailing: Mailing, now: datetime) -> bool:
    """Return whether the mailing's sender may be used; pause the mailing if its owner has to act."""
    sender = mailing.sender
    if sender is None:
        return True
    if problem := find_problem(sender):
        is_about_server = problem is StateReason.SERVER_UNUSABLE
        detail = sender.server.name if is_about_server and sender.server else sender.address
        _pause(mailing, f"{problem}: {detail}", now)
        return False
    return sender.server is None or not sender.server.is_being_tested


def _pause(mailing: Mailing, reason: str, now: datetime) -> None:
    """Pause a mailing that cannot start, until its owner fixes and resumes it."""
    MAILING_TRANSITIONS.move(mailing, MailingState.PAUSED)
    mailing.state_reason = reason
    report_paused(mailing, now)


def _skip_run(session: Session, mailing: Mailing, now: datetime) -> None:
    """Skip a start that is too late, and store it as a skipped run."""
    run = _create_run(session, mailing, read_parts(mailing), now)
    run.state, run.finished_at = RunState.SKIPPED, now
    session.add(run)
    session.flush()
    mailing.next_run_at = None
    _schedule_next_run(mailing, run, now)
    mailing.state_reason = StateReason.TOO_LATE


def _create_run(session: Session, mailing: Mailing, parts: AudienceParts, now: datetime) -> Run:
    message, source = mailing.message, describe_mailing(mailing)
    server_id = mailing.sender.server_id if mailing.sender and not mailing.is_caught else None
    state = RunState.PLANNED if server_id is None else RunState.ROUTED
    return Run(
        mailing_id=mailing.id,
        state=RunState.CAUGHT if mailing.is_caught else state,
        server_id=server_id,
        scheduled_for=now if mailing.is_caught else _find_occurrence_of_start(session, mailing, now),
        started_at=now,
        subject=message.subject,
        format=message.format,
        body=message.body,
        language=message.language,
        sender_name=source.name,
        sender_address=source.address,
        reply_to=source.reply_to,
        track_clicks=mailing.track_clicks and not mailing.is_caught,
        track_opens=OpenTracking.OFF if mailing.is_caught else mailing.track_opens,
        topic_id=mailing.topic_id,
        audience=describe_audience(mailing, parts),
    )


def plan_caught_run(recipients: Recipients, now: datetime) -> int:
    """Plan the run of a test key's mailing, in the caller's transaction; return its ID.

    The only run starts at once, without tracking or an A/B test. Workers do not plan it, because those of
    older versions would send the letters. Its message is not composed again.
    """
    session = object_session(recipients.mailing)
    assert session is not None
    return _plan_run(session, recipients, NewBodies(), now)


def _plan_run(session: Session, recipients: Recipients, bodies: NewBodies, now: datetime) -> int:
    mailing = recipients.mailing
    run = _create_run(session, mailing, recipients.parts, now)
    run.body = bodies.of(mailing.message)
    if mailing.sample_percent and not mailing.is_caught:
        begin_test(run, mailing, now)
    files = plan_files(session, run, mailing)
    times = local_runs.begin(session, run, mailing, now)
    session.add(run)
    session.flush()
    sample = copy_variants(session, run, mailing, bodies)
    add_files(session, run, files)
    key = RunKey(run.id, mailing.id, mailing.counted_owner_id, now)
    clients = plan_batches.begin(session, run, recipients)
    run.planned = deliveries.insert_deliveries(session.connection(), key, clients, now, sample, times)
    if sample is not None:
        skip_empty_test(session, mailing, run, now)
    mailing.next_run_at = None
    MAILING_TRANSITIONS.move(mailing, MailingState.RUNNING)
    mailing.state_reason = ""
    if run.plan_after is None:
        report_started(mailing, run, now)
    return run.id


def _find_occurrence_of_start(session: Session, mailing: Mailing, now: datetime) -> datetime:
    """Return the occurrence to which a run starting now belongs: the latest if several were missed.

    If it already has a run, or none is due yet, a person requested this start: it is a separate occurrence.
    """
    assert mailing.next_run_at is not None
    if mailing.next_run_at > now:
        return mailing.next_run_at  # with local times, clients in the east come first
    latest = find_latest_start(mailing, now)
    had_run = exists().where(Run.mailing_id == mailing.id, Run.scheduled_for >= latest)
    return mailing.next_run_at if latest > now or session.scalar(select(had_run)) else latest


def finish_unsent(mailing: Mailing, now: datetime, *, has_run: bool) -> None:
    """Finish a mailing whose time window ended before its next run could start."""
    mailing.next_run_at = None
    MAILING_TRANSITIONS.move(mailing, MailingState.FINISHED)
    if not has_run:
        mailing.state_reason = StateReason.WINDOW_OVER
    report_finished(mailing, now)


def finish_run(run_id: int, now: datetime, should_stop: Callable[[], bool] = lambda: False) -> bool:
    """Finish or cancel the run if it has no open deliveries; return whether it is over.

    Pending and deferred deliveries expire when the time window ends and are cancelled with the mailing.
    After each batch of these, `should_stop` may leave the rest to the next call. When the run is
    finished, the mailing is scheduled for its next occurrence or finished too.
    """
    while _close_waiting(run_id, now):
        if should_stop():
            return False
    with Session(db.engine) as session, session.begin():
        run, mailing = _lock_run(session, run_id)
        if run is None or mailing is None or run.state in (RunState.FINISHED, RunState.CANCELLED):
            return True
        if has_daily_runs(mailing) and not _close_day(session, run, mailing, now):
            return False
        if plan_batches.is_unfinished(run, mailing, now):
            return False
        if deliveries.has_open_deliveries(session.connection(), run_id):
            return False
        is_cancelled = mailing.state is MailingState.CANCELLED
        RUN_TRANSITIONS.move(run, RunState.CANCELLED if is_cancelled else RunState.FINISHED)
        run.finished_at = now
        reconciliation.verify(
            session.connection(), RunKey(run.id, mailing.id, mailing.counted_owner_id, run.started_at)
        )
        if not has_daily_runs(mailing):
            report_run(mailing, run, now)
        if not is_cancelled and not has_daily_runs(mailing):
            _schedule_next_run(mailing, run, now)
        return True


def _close_day(session: Session, run: Run, mailing: Mailing, now: datetime) -> bool:
    """Return whether a daily run is over; if so, lock it so that no letter is added."""
    if not is_day_over(run.scheduled_for, now) and mailing.state is not MailingState.CANCELLED:
        return False
    session.refresh(run, with_for_update={"key_share": True})
    return True


def _close_waiting(run_id: int, now: datetime) -> int:
    """Close a batch of unsent deliveries if the mailing is cancelled or over; return how many."""
    with Session(db.engine) as session, session.begin():
        run, mailing = _lock_run(session, run_id)
        if run is None or mailing is None:
            return 0
        key = RunKey(run.id, mailing.id, mailing.counted_owner_id, run.started_at)
        if mailing.state is MailingState.CANCELLED:
            state = DeliveryState.CANCELLED
        elif lateness.skips(run, mailing, now):
            return skip(session, key, now)
        elif now >= mailing.ends_at or (
            mailing.kind in LETTER_KINDS and now >= expires_at(run.scheduled_for)
        ):
            state = DeliveryState.EXPIRED
        else:
            return 0
        return deliveries.close_waiting(session.connection(), key, state, now)


def _lock_run(session: Session, run_id: int) -> tuple[Run | None, Mailing | None]:
    run = session.get(Run, run_id)
    if run is None:
        return None, None
    mailing = session.scalar(select(Mailing).where(Mailing.id == run.mailing_id).with_for_update())
    session.refresh(run)
    return run, mailing


def _schedule_next_run(mailing: Mailing, run: Run, now: datetime) -> None:
    """Schedule the mailing's next run after `run`, or finish the mailing if there is none."""
    # The next start may already be set, if the schedule changed during the run or the run was reopened.
    following = mailing.next_run_at
    if following is None and not mailing.is_caught:
        following = find_next_start(mailing, SendingHours.of(mailing), run.scheduled_for)
    if following is not None and following <= now:
        # Occurrences missed during the run are replaced by a single run.
        latest = find_latest_start(mailing, now)
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
        report_finished(mailing, now)


def pause_mailing(run_id: int, reason: StateReason, detail: str, now: datetime) -> None:
    """Pause the run's mailing because further letters would fail for the same reason."""
    with Session(db.engine) as session, session.begin():
        run, mailing = _lock_run(session, run_id)
        if run is not None and mailing is not None and mailing.state is MailingState.RUNNING:
            MAILING_TRANSITIONS.move(mailing, MailingState.PAUSED)
            mailing.state_reason = f"{reason}: {detail}"[:500]
            report_paused(mailing, now)
