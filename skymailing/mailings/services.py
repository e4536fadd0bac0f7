"""Perform actions on mailings by changing states; workers send letters once the caller has committed."""

from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import object_session

from skymailing import audit
from skymailing.audit import Actor
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery import plan_batches, reputation
from skymailing.delivery.audience.recipients import find_recipients
from skymailing.delivery.calendar.recurrence import Recurrence
from skymailing.delivery.daily_runs import has_daily_runs
from skymailing.delivery.run_events import report_paused
from skymailing.delivery.senders import find_problem
from skymailing.errors import IllegalTransition
from skymailing.extensions import db
from skymailing.mailings import caught, scheduling
from skymailing.mailings.audience import save_parts
from skymailing.mailings.duplicate_submission import find_duplicate
from skymailing.mailings.errors import SENDER_PROBLEMS, DuplicateSubmission, InvalidMailing, MailingError
from skymailing.mailings.run_queries import find_last_run, find_open_run
from skymailing.mailings.selection import Selection, save_selection
from skymailing.mailings.validation import MailingValidation
from skymailing.mailings.values import MailingValues
from skymailing.mailings.variants import save_variants
from skymailing.models import (
    MAILING_TRANSITIONS,
    AuditAction,
    Mailing,
    MailingKind,
    MailingState,
    StateReason,
    User,
)
from skymailing.quotas.checks import require_room, select_caught_mailings, select_mailings
from skymailing.settings.quotas import quota_settings

# A recurring mailing is scheduled again as soon as its last letter is sent, so its state does not reveal
# a repeated start. A start within this time after the previous one is a repeated click or command.
DOUBLE_START = timedelta(seconds=10)
REPUTATION_REASONS = (StateReason.TOO_MANY_BOUNCES, StateReason.TOO_MANY_COMPLAINTS)


def create_mailing(
    owner: User,
    values: MailingValues,
    now: datetime,
    *,
    is_draft: bool = False,
    opened_at: datetime | None = None,
    is_caught: bool = False,
) -> Mailing:
    """Create a mailing; unless it is a draft, it starts automatically at its start time.

    With `is_caught`, it is from a test key: it starts at once, and its letters are kept instead of sent.
    Raises InvalidMailing, LimitReached, and DuplicateSubmission if a page that was opened at `opened_at` has
    already created the same mailing.
    """
    validation = _validate(owner, values, now)
    if opened_at is not None:
        duplicate = find_duplicate(validation, opened_at, is_draft=is_draft)
        if duplicate is not None:
            raise DuplicateSubmission(duplicate)
    mailing = _new_draft(owner, is_caught=is_caught)
    values.apply_to(mailing, now)
    db.session.add(mailing)
    db.session.flush()
    save_selection(mailing, values.selection or Selection())
    save_parts(mailing, validation.parts)
    save_variants(mailing, values.variants)
    if not is_draft:
        activate_mailing(mailing, now)
    return mailing


def _new_draft(owner: User, *, is_caught: bool) -> Mailing:
    if is_caught:
        require_room("mailing_caught_limit", select_caught_mailings(owner.id), caught.MAX_MAILINGS)
    else:
        require_room("mailing_limit", select_mailings(owner.id), quota_settings().mailings)
    kind = MailingKind.CAUGHT if is_caught else MailingKind.MAILING
    return Mailing(owner_id=owner.id, state=MailingState.DRAFT, kind=kind.value)


def update_mailing(mailing: Mailing, values: MailingValues, now: datetime, *, is_draft: bool = False) -> None:
    """Edit a mailing for its future runs: a current run keeps the content that it started with.

    A one-time mailing that has run keeps its CONTENT_FIELDS. A draft is activated unless
    `is_draft`; other states ignore it. Raises InvalidMailing, or MailingError if the mailing
    cannot be edited.
    """
    lock_mailing(mailing)
    require_enabled(mailing)
    if mailing.state is MailingState.CANCELLED:
        raise MailingError("mailing_cancelled")
    if mailing.is_caught and mailing.state is not MailingState.DRAFT:
        raise MailingError("mailing_caught_started")
    if mailing.state is MailingState.RUNNING and plan_batches.is_being_planned(db.session, mailing.id):
        raise MailingError("mailing_being_planned")  # its run is for the audience with which it started
    validation = _validate(mailing.owner, values, now, mailing)
    starts_at, rule = mailing.starts_at, Recurrence.of(mailing)
    values.apply_to(mailing, now, keeps_content=validation.keeps_content)
    db.session.flush()
    if not validation.keeps_content:
        save_selection(mailing, values.selection or Selection())
        save_parts(mailing, validation.parts)
        save_variants(mailing, values.variants)
    if mailing.state is not MailingState.DRAFT:
        has_new_times = (starts_at, rule) != (mailing.starts_at, Recurrence.of(mailing))
        scheduling.reschedule(mailing, now, has_new_times=has_new_times)
    elif not is_draft:
        activate_mailing(mailing, now)


def _validate(
    owner: User, values: MailingValues, now: datetime, mailing: Mailing | None = None
) -> MailingValidation:
    validation = MailingValidation(owner, values, now, mailing)
    if validation.errors:
        raise InvalidMailing(validation.errors)
    return validation


def can_be_edited(mailing: Mailing) -> bool:
    """Return whether any part of the mailing can be edited."""
    return not mailing.is_disabled and mailing.state is not MailingState.CANCELLED


def lock_mailing(mailing: Mailing) -> None:
    """Lock a mailing until the transaction ends, and read its current state.

    Every action begins with this: workers and other tabs may have changed the mailing since it was loaded.
    Raises MailingError if it has been deleted.
    """
    session = object_session(mailing)
    assert session is not None
    session.flush()  # refreshing would drop the caller's changes
    try:
        session.refresh(mailing, with_for_update=True)
    except InvalidRequestError as error:
        raise MailingError("mailing_deleted") from error


def activate_mailing(mailing: Mailing, now: datetime) -> None:
    """Activate a draft: it starts automatically at its start time, or immediately if that is past.

    If the end is past already, the mailing is finished and shows that nothing was sent.
    """
    lock_mailing(mailing)
    require_enabled(mailing)
    if mailing.is_caught:
        caught.start(mailing, now)
        return
    move_mailing(mailing, MailingState.SCHEDULED)
    reputation.restart(db.session.connection(), mailing.owner_id, now)
    scheduling.reschedule(mailing, now)


def find_obstacle(mailing: Mailing, now: datetime) -> MailingError | None:
    """Return the reason why a mailing started now would reach no one, or None.

    This can take seconds, so pages call it before the transaction that writes. If it takes too long, it
    returns None, and planning finds the obstacle.
    """
    if mailing.sender is not None and (problem := find_problem(mailing.sender)):
        return MailingError(SENDER_PROBLEMS[problem])
    with suppress(TookTooLong), limit_time():
        recipients = find_recipients(mailing, now)
        if recipients.problem:
            return MailingError(recipients.problem.code, **recipients.problem.values)
        if not recipients.exist():
            return MailingError("mailing_no_recipients")
    return None


def start_now(mailing: Mailing, now: datetime, obstacle: MailingError | None) -> bool:
    """Make a draft or scheduled mailing due now; return False if it is running already.

    `obstacle` is the result of `find_obstacle`; planning evaluates the audience again. A mailing that has
    just run is not started again, because this may be a second click.
    """
    lock_mailing(mailing)
    require_enabled(mailing)
    if mailing.is_caught:
        return caught.start(mailing, now)
    if mailing.state is MailingState.RUNNING:
        return False
    if _has_just_run(mailing, now):
        return True
    if now >= mailing.ends_at:
        raise MailingError("mailing_window_over")
    if obstacle is not None:
        raise obstacle
    if mailing.state is MailingState.DRAFT:
        move_mailing(mailing, MailingState.SCHEDULED)
    if mailing.state is not MailingState.SCHEDULED:
        raise MailingError("mailing_not_startable")
    if mailing.starts_at > now:
        # An early start opens the window now; a recurring mailing counts its occurrences from now.
        mailing.starts_at = now
    mailing.next_run_at = now
    reputation.restart(db.session.connection(), mailing.owner_id, now)
    return True


def _has_just_run(mailing: Mailing, now: datetime) -> bool:
    """Return whether this start repeats an earlier one whose short run is already over."""
    last = find_last_run(mailing)
    is_over = mailing.state in (MailingState.SCHEDULED, MailingState.FINISHED)
    return is_over and last is not None and now - last.started_at < DOUBLE_START


def pause_mailing(mailing: Mailing, now: datetime) -> None:
    """Pause a mailing: no letters are sent except those that are being handed over now."""
    lock_mailing(mailing)
    if mailing.state is not MailingState.PAUSED:
        move_mailing(mailing, MailingState.PAUSED)
        mailing.state_reason = ""
        report_paused(mailing, now)


def resume_mailing(mailing: Mailing, now: datetime, actor: Actor) -> None:
    """Continue a paused mailing where it stopped; clients who already got the letter do not get it again.

    After a pause because of bounces or complaints, these are counted from zero, as after any start.
    """
    lock_mailing(mailing)
    require_enabled(mailing)
    if mailing.state in (MailingState.RUNNING, MailingState.SCHEDULED):
        return
    if mailing.state is not MailingState.PAUSED:
        raise MailingError("mailing_not_paused")
    if now >= mailing.ends_at:
        raise MailingError("mailing_window_over")
    is_reason_seen = mailing.state_reason.startswith(REPUTATION_REASONS)
    if not mailing.is_caught:  # tests neither count nor end a pause
        reputation.restart(db.session.connection(), mailing.owner_id, now, is_reason_seen=is_reason_seen)
    if is_reason_seen:
        audit.record(AuditAction.MAILING_RESUMED, actor, mailing, mailing.state_reason)
    mailing.state_reason = ""
    may_run = has_daily_runs(mailing) or find_open_run(mailing)
    move_mailing(mailing, MailingState.RUNNING if may_run else MailingState.SCHEDULED)


def cancel_mailing(mailing: Mailing, now: datetime) -> None:  # noqa: ARG001 - all actions have one signature
    """Cancel a mailing permanently: workers cancel its unsent letters."""
    lock_mailing(mailing)
    if mailing.state is MailingState.CANCELLED:
        return
    move_mailing(mailing, MailingState.CANCELLED)
    mailing.next_run_at = None
    mailing.state_reason = ""


def disable_mailing(mailing: Mailing, reason: str, now: datetime, actor: Actor) -> None:
    """Disable a mailing: none of its letters are sent until a manager enables it again."""
    lock_mailing(mailing)
    mailing.disabled_at = mailing.disabled_at or now
    mailing.disabled_reason = reason
    audit.record(AuditAction.MAILING_DISABLED, actor, mailing, reason)


def enable_mailing(mailing: Mailing, reason: str, actor: Actor) -> None:
    """Enable a mailing again; it continues in its previous state."""
    lock_mailing(mailing)
    mailing.disabled_at = None
    mailing.disabled_reason = ""
    audit.record(AuditAction.MAILING_ENABLED, actor, mailing, reason)


def require_enabled(mailing: Mailing) -> None:
    """Raise MailingError if a manager has disabled the mailing."""
    if mailing.is_disabled:
        raise MailingError("mailing_disabled", reason=mailing.disabled_reason or "-")


def move_mailing(mailing: Mailing, state: MailingState) -> None:
    """Move a mailing to another state; raises MailingError if its current state does not allow that."""
    old = mailing.state
    try:
        MAILING_TRANSITIONS.move(mailing, state)
    except IllegalTransition as error:
        raise MailingError("mailing_transition_not_allowed", old=old) from error
