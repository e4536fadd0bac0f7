"""The verbs of a mailing; each moves states, none sends: workers do, once the caller has committed."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import object_session

from skymailing import audit
from skymailing.audit import Actor
from skymailing.delivery.ledger import deliveries, late_results
from skymailing.delivery.ledger.statistics import RunKey
from skymailing.errors import IllegalTransition, SkyMailingError
from skymailing.extensions import db
from skymailing.mailings import scheduling
from skymailing.mailings.queries import WAITS_FOR_DECISION, count_waiting_unknowns
from skymailing.models import (
    MAILING_TRANSITIONS,
    OPEN_RUN_STATES,
    RUN_TRANSITIONS,
    Audience,
    AuditAction,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Run,
    RunState,
    StateReason,
    Suppression,
    mailing_clients,
)
from skymailing.web.labels import state_label

# A recurring mailing waits for its next run again the moment the last letter is out: a start within
# this time of the one before is the same click, or the same command, twice.
DOUBLE_START = timedelta(seconds=10)


class MailingError(SkyMailingError):
    """What was asked for does not fit the mailing's state; the message says why."""


def lock_mailing(mailing: Mailing) -> None:
    """Keep others from changing the mailing until the transaction ends, and read it anew.

    Every verb begins with it: workers and other tabs may have moved the mailing since it was loaded.
    Raises MailingError when it has been deleted meanwhile.
    """
    session = object_session(mailing)
    assert session is not None
    session.flush()  # reading anew would drop what the caller has changed
    try:
        session.refresh(mailing, with_for_update=True)
    except InvalidRequestError as error:
        raise MailingError(_("This mailing has been deleted.")) from error


def activate_mailing(mailing: Mailing, now: datetime) -> None:
    """Take a draft into service: it starts by itself at its start time, or at once when that is past.

    A window that is over already finishes the mailing, which then says that nothing was sent.
    """
    lock_mailing(mailing)
    _refuse_disabled(mailing)
    _move(mailing, MailingState.SCHEDULED)
    scheduling.reschedule(mailing, now)


def start_now(mailing: Mailing, now: datetime) -> None:
    """Make a draft or scheduled mailing due at once; harmless for one that is running or has just run."""
    lock_mailing(mailing)
    _refuse_disabled(mailing)
    if mailing.state is MailingState.RUNNING or _has_just_run(mailing, now):
        return
    if now >= mailing.ends_at:
        raise MailingError(_("The window of this mailing is over. Choose a later end first."))
    if not audience_size(mailing):
        raise MailingError(_("This mailing would reach nobody. Add clients first."))
    if mailing.state is MailingState.DRAFT:
        _move(mailing, MailingState.SCHEDULED)
    if mailing.state is not MailingState.SCHEDULED:
        raise MailingError(_("Only a draft or a scheduled mailing can be started."))
    if mailing.starts_at > now:
        # What starts early has its window from now on; a recurring one keeps its rhythm from here.
        mailing.starts_at = now
    mailing.next_run_at = now


def _has_just_run(mailing: Mailing, now: datetime) -> bool:
    """Whether this start is the double of one whose run, a short one, is over already."""
    last = last_run(mailing)
    is_over = mailing.state in (MailingState.SCHEDULED, MailingState.FINISHED)
    return is_over and last is not None and now - last.started_at < DOUBLE_START


def pause_mailing(mailing: Mailing, now: datetime) -> None:  # noqa: ARG001 - all verbs have one shape
    """Stop a mailing: nothing new leaves after the letters that are being handed over right now."""
    lock_mailing(mailing)
    if mailing.state is not MailingState.PAUSED:
        _move(mailing, MailingState.PAUSED)
        mailing.state_reason = ""


def resume_mailing(mailing: Mailing, now: datetime) -> None:
    """Go on with a paused mailing where it stopped; nobody who has had a letter gets another."""
    lock_mailing(mailing)
    _refuse_disabled(mailing)
    if mailing.state in (MailingState.RUNNING, MailingState.SCHEDULED):
        return
    if mailing.state is not MailingState.PAUSED:
        raise MailingError(_("Only a paused mailing can be resumed."))
    if now >= mailing.ends_at:
        raise MailingError(_("The window of this mailing is over. Choose a later end first."))
    mailing.state_reason = ""
    _move(mailing, MailingState.RUNNING if open_run(mailing) else MailingState.SCHEDULED)


def cancel_mailing(mailing: Mailing, now: datetime) -> None:  # noqa: ARG001 - all verbs have one shape
    """End a mailing for good; letters that wait are cancelled by a worker, sent ones stay sent."""
    lock_mailing(mailing)
    if mailing.state is MailingState.CANCELLED:
        return
    _move(mailing, MailingState.CANCELLED)
    mailing.next_run_at = None
    mailing.state_reason = ""


def resend_failed(mailing: Mailing, now: datetime) -> int:
    """Put the failed deliveries of the last run back to pending; return how many there are."""
    run = _run_to_resend(mailing, now)
    # Whoever is never mailed any more stays failed, with the server's reason in the log.
    suppressed = exists().where(
        Suppression.owner_id == mailing.owner_id, Suppression.email_key == Delivery.email_key
    )
    failed = (Delivery.state == DeliveryState.FAILED) & Delivery.client_id.is_not(None) & ~suppressed
    count = _take_up(mailing, run, failed, DeliveryState.PENDING, now)
    if count:
        _reopen(mailing, run)
    return count


def resend_unknowns(mailing: Mailing, now: datetime) -> int:
    """Send the unclear letters of the last run once more; return how many waited for that decision.

    It may be their clients' second copy, with the same Message-ID.
    """
    run = _run_to_resend(mailing, now)
    count = _take_up(mailing, run, WAITS_FOR_DECISION, DeliveryState.DEFERRED, now)
    if count:
        _reopen(mailing, run)
    _note_decision(mailing)
    return count


def leave_unknowns(mailing: Mailing, now: datetime) -> int:
    """Let the unclear letters of the last run rest; return how many waited for that decision."""
    lock_mailing(mailing)
    _refuse_disabled(mailing)
    run = last_run(mailing)
    if run is None:
        return 0
    # What another transaction holds is being settled by it, such as by word that a letter was taken.
    rows = select(Delivery.id).where(Delivery.run_id == run.id, WAITS_FOR_DECISION)
    left = update(Delivery).where(Delivery.id.in_(rows.with_for_update(skip_locked=True)))
    count = db.session.connection().execute(left.values(finished_at=now)).rowcount
    _note_decision(mailing)
    return count


def confirm_unknowns(mailing: Mailing, email_keys: Iterable[str], now: datetime) -> int:
    """Note as sent the last run's unclear letters that the mail server's log has; return how many."""
    lock_mailing(mailing)
    run = last_run(mailing)
    if run is None:
        return 0
    key = RunKey(run.id, mailing.id, mailing.owner_id, run.started_at)
    count = late_results.mark_accepted(db.session.connection(), key, email_keys, now)
    _note_decision(mailing)
    return count


def _note_decision(mailing: Mailing) -> None:
    """Tell no longer of a restore when all is decided and the mailing does not wait to be resumed."""
    is_restored = mailing.state_reason.startswith(StateReason.RESTORED)
    if is_restored and mailing.state is not MailingState.PAUSED and not count_waiting_unknowns(mailing):
        mailing.state_reason = ""


def _run_to_resend(mailing: Mailing, now: datetime) -> Run:
    """Return the locked mailing's last run if letters of it may leave again; else raise MailingError."""
    lock_mailing(mailing)
    _refuse_disabled(mailing)
    if now >= mailing.ends_at:
        raise MailingError(_("The window of this mailing is over. Choose a later end first."))
    run = last_run(mailing)
    if run is None or mailing.state is MailingState.CANCELLED:
        raise MailingError(_("There is no run whose letters could be sent again."))
    if run.details_removed_at is not None:
        raise MailingError(
            _("The details of the last run were removed, so its letters cannot be sent again.")
        )
    return run


def _take_up(
    mailing: Mailing, run: Run, condition: ColumnElement[bool], state: DeliveryState, now: datetime
) -> int:
    """Bring settled deliveries of the run back to an open state; return how many."""
    db.session.flush()
    return deliveries.reopen(
        db.session.connection(),
        RunKey(run.id, mailing.id, mailing.owner_id, run.started_at),
        condition,
        state,
        now,
    )


def _reopen(mailing: Mailing, run: Run) -> None:
    if run.state is RunState.FINISHED:
        RUN_TRANSITIONS.move(run, RunState.SENDING)
        run.finished_at = None
    if mailing.state in (MailingState.FINISHED, MailingState.SCHEDULED):
        _move(mailing, MailingState.RUNNING)


def disable_mailing(mailing: Mailing, reason: str, now: datetime, actor: Actor) -> None:
    """Set a manager's mark: nothing of the mailing is sent until it is lifted."""
    lock_mailing(mailing)
    mailing.disabled_at = mailing.disabled_at or now
    mailing.disabled_reason = reason
    audit.record(AuditAction.MAILING_DISABLED, actor, mailing, reason)


def enable_mailing(mailing: Mailing, reason: str, actor: Actor) -> None:
    """Lift a manager's mark; the mailing goes on in the state it was in."""
    lock_mailing(mailing)
    mailing.disabled_at = None
    mailing.disabled_reason = ""
    audit.record(AuditAction.MAILING_ENABLED, actor, mailing, reason)


def audience_size(mailing: Mailing) -> int:
    """Return how many clients the mailing is for, suppressed ones included."""
    session = object_session(mailing)
    assert session is not None
    if mailing.audience is Audience.SELECTED:
        members = select(func.count()).where(mailing_clients.c.mailing_id == mailing.id)
        return session.scalar(members) or 0
    return session.scalar(select(func.count()).where(Client.owner_id == mailing.owner_id)) or 0


def last_run(mailing: Mailing) -> Run | None:
    """Return the mailing's latest run; one that was skipped is none."""
    return db.session.scalar(
        select(Run)
        .where(Run.mailing_id == mailing.id, Run.state != RunState.SKIPPED)
        .order_by(Run.scheduled_for.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def open_run(mailing: Mailing) -> Run | None:
    """Return the run that is under way."""
    run = last_run(mailing)
    return run if run and run.state in OPEN_RUN_STATES else None


def _refuse_disabled(mailing: Mailing) -> None:
    if mailing.is_disabled:
        raise MailingError(
            _("A manager has disabled this mailing: %(reason)s", reason=mailing.disabled_reason or "-")
        )


def _move(mailing: Mailing, state: MailingState) -> None:
    old = mailing.state
    try:
        MAILING_TRANSITIONS.move(mailing, state)
    except IllegalTransition as error:
        raise MailingError(
            _(
                "A mailing that is %(old)s cannot become %(new)s.",
                old=state_label(old),
                new=state_label(state),
            )
        ) from error
